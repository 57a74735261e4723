"""``astronmf reduce``: from FITS frames to one image, north up."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from astronmf.cli import common, spectral_reduce

__all__ = ["run", "summary_rows"]


def run(
    science: common.Inputs,
    output: common.Output,
    references: Annotated[
        list[Path] | None,
        typer.Option(
            "--references", "-r", metavar="FILE...", help="Frames of reference stars; those marked IS_PSF by default."
        ),
    ] = None,
    components: Annotated[Path | None, typer.Option("--components", help="Components built before, instead.")] = None,
    n_components: common.NumberOfComponents = None,
    mode: Annotated[
        str,
        typer.Option(
            "--mode",
            help="The star's model comes from other stars (rdi), the science frames, among which the sky turns (adi), "
            "or both (ardi). Several wavelengths: also the other ones (sdi), or both (asdi).",
        ),
    ] = "rdi",
    min_rotation: Annotated[
        float | None,
        typer.Option(
            "--min-rotation",
            min=0,
            help="adi, ardi: each frame's references are frames in which a source has moved by so many FWHM.",
            show_default="all frames share components",
        ),
    ] = None,
    fwhm: Annotated[
        float | None, typer.Option("--fwhm", help="Of the PSF, pixels, for --min-rotation and --min-separation.")
    ] = None,
    wavelengths: spectral_reduce.Wavelengths = None,
    min_separation: spectral_reduce.MinSeparation = None,
    max_channels: spectral_reduce.MaxChannels = None,
    annulus_width: Annotated[
        float | None, typer.Option("--annulus-width", min=1, help="Annuli of so many pixels, each modelled on its own.")
    ] = None,
    n_segments: Annotated[int, typer.Option("--segments", min=1, help="Sectors of each annulus.")] = 1,
    center: common.Center = None,
    angles: common.Angles = None,
    angle_key: common.AngleKey = None,
    pixel_scale: common.PixelScale = None,
    dq_bits: common.DqBits = None,
    mapping: common.Mapping = None,
    inner: common.Inner = None,
    outer: common.Outer = None,
    mask: common.Mask = None,
    imputation_mask: Annotated[
        Path | None,
        typer.Option(
            "--imputation-mask",
            help="FITS image, 1 = disk or planet: missing when the star is modelled. Two-dimensional: on the output's "
            "pixels, north up, star at pixel (nx // 2, ny // 2) from 0. Three-dimensional: a detector mask a frame.",
        ),
    ] = None,
    imputation_frame: Annotated[str, typer.Option("--imputation-frame", help="sky, or detector.")] = "sky",
    scale: Annotated[
        str, typer.Option("--scale", help="bff, bff-ren2018, bff-nmf_imaging, none, or a number.")
    ] = "bff",
    scale_by: Annotated[
        str, typer.Option("--scale-by", help="Frames that share a best factor: frame (none), roll, or all.")
    ] = "frame",
    combine: Annotated[
        str | None,
        typer.Option("--combine", help="mean, median, or weighted.", show_default="rdi: mean; others: weighted"),
    ] = None,
    tol: Annotated[
        float | None,
        typer.Option(
            "--tol",
            min=0,
            help="Relative change of χ² at which a stage ends.",
            show_default="rdi: 1e-5; others: 1e-4",
        ),
    ] = None,
    max_iter: common.Iterations = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Random state of the build.")] = 0,
    plot: common.Plot = None,
    cube: Annotated[
        Path | None, typer.Option("--cube", help="FITS cube of the image over the number of components.")
    ] = None,
    overwrite: common.Overwrite = False,
) -> None:
    """Remove the star from SCI frames with components built from reference frames, or from the frames themselves.

    The science files come first: astronmf reduce SCI... --references REF... -k 10 -o out.fits, or
    astronmf reduce SCI... --mode adi --angles ANGLES -o out.fits
    """
    asked = dict(locals())
    if spectral_reduce.is_meant(asked):
        spectral_reduce.run(asked)
        return
    from astronmf import Components
    from astronmf.imaging import reduce
    from astronmf.imaging.scaling import as_scale
    from astronmf.io.files import read_angles

    began = perf_counter()
    read = (*science, *(references or ()), components, angles, mask, imputation_mask, mapping)
    common.check_outputs(output, cube, overwrite=overwrite, figures=(plot,), inputs=read)
    shared = {"center": center, "pixel_scale": pixel_scale, "dq_bits": dq_bits, "mapping": mapping}
    given = None if angles is None else read_angles(angles)
    frames = common.read_frames(science, angles=given, angle_key=angle_key, **shared)
    others = common.read_frames(references, **shared) if references else None
    with common.progress_bar() as progress:
        result = reduce(
            frames,
            others,
            components=None if components is None else Components.read(components),
            mode=mode,
            n_components=n_components,
            min_rotation=min_rotation,
            fwhm=fwhm,
            annulus_width=annulus_width,
            n_segments=n_segments,
            inner_radius=inner,
            outer_radius=outer,
            mask=common.read_mask(mask),
            imputation_mask=common.read_mask(imputation_mask),
            imputation_frame=imputation_frame,
            scale=as_scale(scale),
            scale_by=scale_by,
            combine=combine,
            estimator=common.estimator(tol, max_iter, seed),
            progress=progress,
        )
        result.meta["inputs"] += common.provenance_of(
            components=components, angles=angles, mask=mask, imputation_mask=imputation_mask, mapping=mapping
        )
        _write(result, output, plot, cube, progress, overwrite)
    common.summary(f"astronmf reduce: {output}", [*summary_rows(result), ("time", f"{perf_counter() - began:.1f} s")])


def _write(result: Any, output: Path, plot: Path | None, cube: Path | None, progress: Any, overwrite: bool) -> None:
    """Write all that was asked for."""
    result.meta["command"] = common.command_line()
    result.write(output, overwrite=overwrite)
    if cube is not None:
        from astronmf.io.reduction import write_cube

        write_cube(result, cube, overwrite=overwrite, progress=progress)
    if plot is not None:
        from astronmf.plotting import plot_reduction

        common.save_figure(plot_reduction(result), plot, overwrite=overwrite)


def _components_row(result: Any) -> str:
    """Return how many components there are, in how many zones, and what they come from."""
    each, zones = result.meta["parameters"]["n_components"], result.choice.n_zones
    where = f" in each of {zones} zones" if zones > 1 else ""
    frames = {"rdi": "reference frames", "adi": "science frames", "ardi": "science and reference frames"}
    return f"{each}{where} from {len(result.components.coefficients)} {frames[result.recipe.mode]}"


def summary_rows(result: Any) -> list[tuple[str, str]]:
    """Return the numbers that a user looks at first."""
    unit = "" if result.unit is None else f" {result.unit}"
    factors, errors = result.scale_factors, result.scale_factor_errors
    build = result.components.history[-1]
    missing = int((~np.isfinite(result.residuals) & result.choice.region).sum())
    return [
        ("science frames", f"{len(result.science)}, of {result.combined.shape[1]} x {result.combined.shape[0]} pixels"),
        ("components", _components_row(result)),
        (
            "build",
            f"χ²/N {build['chi2'] / result.components.meta['n_valid']:.4f}, converged: {bool(build['converged'])}",
        ),
        ("science", f"χ²/N {result.chi2 / max(result.n_valid, 1):.4f} over {result.n_valid} fitted values"),
        ("scale factors", f"{factors.min():.4f} to {factors.max():.4f}, errors up to {np.max(errors):.4f}"),
        (
            "missing values",
            f"{missing} in the region; {int(np.isnan(result.combined).sum())} blank pixels in the image",
        ),
        ("declared missing", f"{int((result.choice.imputed & result.choice.region).sum())} values"),
        ("typical error", f"{float(np.nanmedian(result.combined_uncertainty)):.3g}{unit} a pixel"),
    ]
