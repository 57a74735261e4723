"""``astronmf forward``: what a reduction leaves of a model."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from astronmf.cli import common, modelling

__all__ = ["run", "summary_rows"]


@modelling.naming_options
def run(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A FITS image, north up, on the pixels of COMBINED or with a WCS or PIXSCALE in its header; or a TOML "
            "file of sources (.toml), which are added up.",
            show_default=False,
        ),
    ],
    reduction: Annotated[
        Path, typer.Option("--reduction", help="The reduction, of 'astronmf reduce'.", show_default=False)
    ],
    output: common.Output,
    psf: modelling.Psf = None,
    fwhm: common.PsfFwhm = None,
    psf_size: common.PsfSize = None,
    pixel_scale: modelling.ImageScale = None,
    transmission: modelling.Transmission = None,
    smearing: common.Smearing = None,
    exact: Annotated[
        bool | None,
        typer.Option(
            "--exact/--no-exact",
            help="Reduce the data less the model again, too, and report the difference.",
            show_default="where scale factors were searched or frames not combined linearly, and components are fixed",
        ),
    ] = None,
    added: Annotated[
        bool, typer.Option("--added", help="The model is not in the data: add it to them, instead of taking it off.")
    ] = False,
    plot: common.Plot = None,
    overwrite: common.Overwrite = False,
) -> None:
    """Show what a reduction leaves of a disk or planet of known shape.

    astronmf forward disk.fits --reduction out.fits --psf psf.fits -o forward.fits

    The FITS file has FORWARD (what active components and scale factors as they are leave, combined), SOURCE (the model
    as the telescope sees it), FRAMES, where the data were reduced again also EXACT (what that leaves) and DIFFERENCE,
    and the table ACTIVE_SETS: whether a frame's active components are the same with and without the model.
    """
    from astronmf.imaging import Reduction
    from astronmf.imaging.modelling.forward_images import ForwardImages
    from astronmf.imaging.modelling.together import Together

    began = perf_counter()
    read = (model, reduction, psf, transmission)
    common.check_outputs(output, overwrite=overwrite, figures=(plot,), inputs=read)
    content = Reduction.read(reduction)
    _check_exact(content, exact=exact)
    how = modelling.observing(psf, fwhm, psf_size, transmission, smearing)
    sources, _ = modelling.sources_of(model, content, pixel_scale)
    source = Together(list(sources.values()))
    found = content.forward_model(source, **how, exact=exact, in_data=not added)
    images = ForwardImages.of(found, content)
    asked = {"exact": exact, "added": added, "fwhm": fwhm, "psf_size": psf_size, "smearing": smearing}
    images.meta["parameters"] = asked | {"pixel_scale": pixel_scale, "sources": list(sources)}
    images.meta["command"] = common.command_line()
    images.meta["inputs"] += common.provenance_of(reduction=reduction, model=model, psf=psf, transmission=transmission)
    images.write(output, overwrite=overwrite)
    if plot is not None:
        from astronmf.plotting import plot_forward

        common.save_figure(plot_forward(images), plot, overwrite=overwrite)
    rows = [("sources", ", ".join(sources)), *summary_rows(images), ("time", f"{perf_counter() - began:.1f} s")]
    common.summary(f"astronmf forward: {output}", rows)


def _check_exact(reduction: Any, *, exact: bool | None) -> None:
    """Raise if the data cannot be reduced again."""
    from astronmf._validation import fail
    from astronmf.imaging.companions import can_reduce_again

    if exact and not can_reduce_again(reduction):
        raise fail("exact", "left out where the frames of the reference stars are not there: a file has none", exact)


def summary_rows(images: Any) -> list[tuple[str, str]]:
    """Return the numbers that a user looks at first."""
    same, n = int(images.same_active_set.sum()), len(images.same_active_set)
    kept = "unknown: the model has no light in the region"
    if np.isfinite(images.throughput):
        kept = f"{images.throughput:.4f} (the model's amplitude in what is left of it)"
    how = "active components and scale factors as they are"
    if images.exact is not None:
        how = f"reducing again; {how} are off by {images.largest_difference:.2g} of the peak"
    unit = "" if images.unit is None else f" {images.unit}"
    return [
        ("throughput", kept),
        ("method", how),
        ("peak", f"{_peak(images.image)}{unit} left of {_peak(images.source)}{unit}"),
        ("active components", f"the same with and without the model in {same} of {n} frames"),
    ]


def _peak(image: Any) -> str:
    """Return an image's largest value in words."""
    return f"{np.nanmax(image):.4g}" if np.isfinite(image).any() else "no value"
