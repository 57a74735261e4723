"""``astronmf info``: what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from astronmf.cli import common

__all__ = ["read_any", "run"]


def run(file: Annotated[Path, typer.Argument(metavar="FILE", help="A FITS file.", show_default=False)]) -> None:
    """Say what a FITS file holds: a reduction, components, a fit, a forward model, or frames."""
    try:
        rows = describe(read_any(file))
    except ValueError as error:
        if "'center' must be given" not in str(error):
            raise
        rows = describe(read_any(file, center=(0, 0)))  # what else the file holds can be said without it
        rows = [(name, "unknown: give '--center'" if name.startswith("star at") else text) for name, text in rows]
    common.summary(f"astronmf info: {file}", rows)


def read_any(path: Path, **options: Any) -> Any:
    """Return the reduction, components, fit, forward model or frames in a file."""
    from astronmf import Components
    from astronmf.imaging import Frames, Reduction
    from astronmf.imaging.modelling.fit_result import TemplateFit
    from astronmf.imaging.modelling.forward_images import ForwardImages
    from astronmf.io.files import open_fits

    names = {hdu.name for hdu in open_fits(path)}
    if {"COMBINED", "RESIDUALS", "STATUS"} <= names:
        return Reduction.read(path)
    if {"COMPONENTS", "REFERENCES", "STAGES"} <= names:
        return Components.read(path)
    if {"AMPLITUDES", "TEMPLATES", "COVARIANCE"} <= names:
        return TemplateFit.read(path)
    if {"FORWARD", "SOURCE", "ACTIVE_SETS"} <= names:
        return ForwardImages.read(path)
    return Frames.read(path, **options)


def describe(content: Any) -> list[tuple[str, str]]:
    """Return names and values that describe what a file holds."""
    from astronmf import Components
    from astronmf.cli.reduce import summary_rows
    from astronmf.imaging import Reduction
    from astronmf.imaging.modelling.fit_result import TemplateFit
    from astronmf.imaging.modelling.forward_images import ForwardImages

    if isinstance(content, Reduction):
        rows = [("holds", "a reduction"), *summary_rows(content)]
        return [*rows, ("command", str(content.meta.get("command", ""))), *_inputs(content.meta)]
    if isinstance(content, Components):
        return [("holds", "components"), *_component_rows(content), *_inputs(content.meta)]
    if isinstance(content, TemplateFit | ForwardImages):
        return [*_model_rows(content), ("command", str(content.meta.get("command", ""))), *_inputs(content.meta)]
    return [("holds", "frames"), *_frame_rows(content), *_inputs(content.meta)]


def _component_rows(content: Any) -> list[tuple[str, str]]:
    last = content.history[-1]
    return [
        ("components", f"{len(content)} of {' x '.join(map(str, content.data.shape[1:]))} pixels"),
        ("observations", str(len(content.coefficients))),
        ("χ²/N", f"{last['chi2'] / content.meta['n_valid']:.4f}"),
        ("pixels not covered", str(int(content.mask.sum()))),
        ("weights", str(content.meta.get("weights_origin", ""))),
    ]


def _model_rows(content: Any) -> list[tuple[str, str]]:
    """Return what a fit or a forward model found."""
    from astronmf.cli import fit, forward
    from astronmf.imaging.modelling.forward_images import ForwardImages

    if isinstance(content, ForwardImages):
        return [("holds", "a forward model"), *forward.summary_rows(content)]
    rows = [("holds", "a fit of templates")]
    columns, templates = fit.template_listing(content)
    for cells in templates:
        row = dict(zip(columns, cells, strict=True))
        density = f"{row['mJy']} mJy, " if "mJy" in row else ""
        rows.append((row["template"], f"{row['amplitude']} ({density}{row['status']})"))
    if content.parameters is not None:
        rows += [(row[0], row[1]) for row in fit.parameter_listing(content.parameters)[1]]
    return [*rows, *fit.summary_rows(content)]


def _frame_rows(content: Any) -> list[tuple[str, str]]:
    geometry = content.geometry
    scale = "unknown" if geometry.pixel_scale is None else f"{geometry.pixel_scale:.5g} arcsec"
    angles = (
        "unknown" if content.angles is None else f"{content.angles.min():.2f} to {content.angles.max():.2f} degrees"
    )
    return [
        ("frames", f"{len(content)} of {content.shape[2]} x {content.shape[1]} pixels"),
        ("of reference stars", str(int(content.is_reference.sum()))),
        ("unit", "none" if content.unit is None else str(content.unit)),
        ("errors", "none" if content.sigma is None else "1σ a pixel"),
        ("masked", f"{content.mask.mean():.2%}"),
        ("star at (x, y)", f"({geometry.center[0]:g}, {geometry.center[1]:g}) from 0"),
        ("pixel scale", scale),
        ("angles of +y", angles),
    ]


def _inputs(meta: dict[str, Any]) -> list[tuple[str, str]]:
    return [("from", f"{item['name']} (sha256 {item['sha256'][:12]}…)") for item in meta.get("inputs", [])]
