"""``astronmf detect``: point sources in a reduction."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from astronmf._validation import check_choice, fail
from astronmf.cli import common

__all__ = ["run"]

METHODS = ("matched", "aperture")
MOST_REDUCTIONS = 6


def run(
    reduction: common.ReductionFile,
    psf: common.PsfFile,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="ECSV table to write.")] = None,
    threshold: Annotated[float, typer.Option("--threshold", help="In Gaussian sigma, whatever the separation.")] = 5.0,
    method: Annotated[
        str, typer.Option("--method", help="matched: matched filter and forward model; aperture: aperture fluxes.")
    ] = "matched",
    star_flux: Annotated[
        float | None,
        typer.Option(
            "--star-flux",
            help="Total flux of the star, over the whole PSF: adds contrasts.",
        ),
    ] = None,
    max_companions: Annotated[
        int | None, typer.Option("--max-companions", min=1, help="Most companions.", show_default="10")
    ] = None,
    fit: Annotated[
        bool | None,
        typer.Option(
            "--fit/--no-fit",
            help="Reduce again without the companions: corrects their fluxes, and finds what they hid.",
            show_default="fit, where the file has what that takes",
        ),
    ] = None,
    fwhm: common.PsfFwhm = None,
    psf_size: common.PsfSize = None,
    smearing: common.Smearing = None,
    plot: common.Plot = None,
    significance: Annotated[
        Path | None, typer.Option("--map", help="FITS image of the significance to write, in sigma.")
    ] = None,
    overwrite: common.Overwrite = False,
) -> None:
    """Find companions in a reduction, and measure them.

    astronmf detect out.fits --psf psf.fits -o detections.ecsv
    """
    from astronmf.imaging import Reduction
    from astronmf.io.tables import check_table_name

    began = perf_counter()
    check_choice("method", method, METHODS)
    if output is not None:
        check_table_name(output)
    common.check_outputs(output, significance, overwrite=overwrite, figures=(plot,), inputs=(reduction, psf))
    star, star_flux = common.read_star(psf, fwhm, psf_size, star_flux)
    options = {"star_flux": star_flux, "max_companions": max_companions, "fit": fit, "smearing": smearing}
    given = {name: value for name, value in options.items() if value is not None}
    content = Reduction.read(reduction)
    with common.progress_bar() as progress:
        if method == "aperture":
            table, sigma = _by_apertures(content, star, threshold, given)
        else:
            table, sigma = _by_matched_filter(content, star, threshold, given, progress)
    table.meta |= {
        "method": method,
        "command": common.command_line(),
        "files": common.provenance_of(reduction=reduction, psf=psf),
    }
    _write(table, sigma, content, output, significance, plot, overwrite)
    title = f"astronmf detect: {reduction}, {len(table)} above {threshold:g} sigma, {perf_counter() - began:.1f} s"
    if len(table):
        common.listing(title, *_listing(table))
    else:
        typer.echo(f"{title}\n{_highest(sigma, content)}")


def _by_matched_filter(
    content: Any, psf: Any, threshold: float, given: dict[str, Any], progress: Any
) -> tuple[Any, Any]:
    """Return the table of companions, and the significance at each place."""
    from astronmf.imaging import find_companions
    from astronmf.imaging.companions import can_reduce_again

    fit = given.pop("fit", can_reduce_again(content))
    given["smearing"] = common.smearing_of(given.get("smearing"))
    reductions = MOST_REDUCTIONS if fit else 0
    found = find_companions(content, psf, threshold=threshold, max_reductions=reductions, **given, progress=progress)
    return found.table, found.significance


def _by_apertures(content: Any, psf: Any, threshold: float, given: dict[str, Any]) -> tuple[Any, Any]:
    """Return the table of sources, and the significance at each place."""
    from astronmf.imaging.detection import detect, snr_map

    if given:
        name = "--" + next(iter(given)).replace("_", "-")
        raise fail("method", f"'matched' with '{name}'", "'aperture'")
    sigma = snr_map(content, psf.fwhm, significance=True)
    return detect(content, psf, threshold=threshold, detection_map=sigma), sigma


def _write(
    table: Any,
    sigma: Any,
    content: Any,
    output: Path | None,
    significance: Path | None,
    plot: Path | None,
    overwrite: bool,
) -> None:
    """Write what was asked for."""
    from astronmf.io.maps import write_map
    from astronmf.io.tables import write_table

    if output is not None:
        write_table(table, output, overwrite=overwrite)
    if significance is not None:
        about = {"content": "significance in sigma", "command": table.meta["command"]}
        write_map(content, sigma, significance, **about, overwrite=overwrite)
    if plot is not None:
        from astronmf.plotting import plot_detections

        common.save_figure(plot_detections(table, content, sigma), plot, overwrite=overwrite)


def _listing(table: Any) -> tuple[list[str], list[list[str]]]:
    """Return the names of columns, and a row for each source."""
    on_sky = "separation_angle" in table.colnames
    unit = getattr(table["flux"], "unit", None)
    columns = ["#", "separation [mas]" if on_sky else "separation [pixels]", "PA [deg]"]
    columns.append("flux" if unit is None else f"flux [{unit}]")
    names = [("separation_angle" if on_sky else "separation", 1e3 if on_sky else 1.0), ("position_angle", 1.0)]
    names.append(("flux", 1.0))
    if "contrast" in table.colnames:
        columns.append("contrast")
        names.append(("contrast", 1.0))
    rows = []
    for row in table:
        cells = [_with_error(row, name, factor) for name, factor in names]
        rows.append([str(row["id"]), *cells, f"{row['snr']:.1f}", f"{row['significance']:.1f}"])
    return [*columns, "S/N", "sigma"], rows


def _with_error(row: Any, name: str, factor: float) -> str:
    """Return a value of a row, times a factor, with its error."""
    from astronmf.imaging.detection.catalogue import with_error

    value, error = (factor * float(getattr(row[key], "value", row[key])) for key in (name, f"{name}_error"))
    return with_error(value, error)


def _highest(sigma: Any, content: Any) -> str:
    """Return where the most significant place is, in words."""
    from astronmf.imaging.geometry import polar

    if not np.isfinite(sigma).any():
        return "no place has a significance: too few places at its separation to compare it with"
    y, x = np.unravel_index(int(np.nanargmax(sigma)), sigma.shape)
    separation, angle = polar(content.center, x, y)
    return f"the most significant place has {sigma[y, x]:.1f} sigma, at {separation:.1f} pixels, PA {angle:.0f} deg"
