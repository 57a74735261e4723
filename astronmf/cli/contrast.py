"""``astronmf contrast``: how faint a companion would be found in a reduction."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from astronmf._validation import fail
from astronmf.cli import common

__all__ = ["run"]

SHOWN = 5  # separations in the summary


def run(
    reduction: common.ReductionFile,
    psf: common.PsfFile,
    output: Annotated[Path, typer.Option("-o", "--output", help="ECSV table to write.", show_default=False)],
    star_flux: Annotated[
        float | None,
        typer.Option(
            "--star-flux",
            help="Total flux of the star over the whole PSF, in the unit and for the exposure of the science frames.",
            show_default="the PSF's, if its unit is the science frames'",
        ),
    ] = None,
    fwhm: common.PsfFwhm = None,
    psf_size: common.PsfSize = None,
    sigma: Annotated[float, typer.Option("--sigma", help="Threshold, in Gaussian sigma.")] = 5.0,
    method: Annotated[str, typer.Option("--method", help="matched: matched filter; aperture: as in VIP.")] = "matched",
    position_angles: Annotated[
        int, typer.Option("--position-angles", min=1, help="At which companions are put in, for the throughput.")
    ] = 4,
    companions: Annotated[
        str, typer.Option("--companions", help="find, none, or an ECSV table: they are taken off first.")
    ] = "find",
    exclude: Annotated[
        Path | None,
        typer.Option("--exclude", help="FITS image on the output's pixels, north up, 1 = no noise, such as a disk."),
    ] = None,
    smearing: common.Smearing = None,
    completeness: Annotated[
        Path | None, typer.Option("--completeness", help="ECSV table to write: which share of companions is found.")
    ] = None,
    plot: common.Plot = None,
    completeness_plot: Annotated[
        Path | None, typer.Option("--completeness-plot", help="Figure of the completeness to write.")
    ] = None,
    overwrite: common.Overwrite = False,
) -> None:
    """Put companions of known flux into the frames of a reduction, reduce them, and say how faint one is found.

    astronmf contrast out.fits --psf psf.fits -o curve.ecsv
    """
    from astronmf.imaging.detection import completeness_map, contrast_curve
    from astronmf.io.tables import check_table_name, write_table

    began = perf_counter()
    known = _file_of(companions)
    read = (reduction, psf, exclude, known)
    for table in (output, completeness):
        if table is not None:
            check_table_name(table)
    common.check_outputs(output, completeness, overwrite=overwrite, figures=(plot, completeness_plot), inputs=read)
    if completeness_plot is not None and completeness is None:
        raise fail("completeness_plot", "left out without '--completeness'", completeness_plot)
    star, star_flux = common.read_star(psf, fwhm, psf_size, star_flux)
    content, shared = _read(reduction, star, exclude, smearing)
    shared |= {"star_flux": star_flux, "companions": _companions(companions, known)}
    inputs = common.provenance_of(reduction=reduction, psf=psf, exclude=exclude, companions=known)
    with common.progress_bar() as progress:
        how: dict[str, Any] = {"sigma": sigma, "method": method, "n_position_angles": position_angles}
        about = {"command": common.command_line(), "files": inputs}
        curve = contrast_curve(content, **shared, **how, progress=progress)
        curve.meta |= about
        write_table(curve, output, overwrite=overwrite)  # at once: completeness takes longer
        counts = None
        if completeness is not None:
            counts = completeness_map(content, **shared, threshold=sigma, progress=progress)
            counts.meta |= about
            write_table(counts, completeness, overwrite=overwrite)
    _draw(curve, counts, plot, completeness_plot, overwrite)
    rows = [*_rows(curve), *_share_rows(counts), ("time", f"{perf_counter() - began:.1f} s")]
    common.summary(f"astronmf contrast: {output}", rows)


def _file_of(companions: str) -> Path | None:
    """Return the file that the option names, if it is none of its words."""
    return None if companions in ("find", "none") else Path(companions)


def _companions(option: str, file: Path | None) -> Any:
    """Return the companions as the library takes them."""
    from astronmf.io.tables import read_table

    if file is not None:
        return read_table(file)
    return "find" if option == "find" else None


def _read(reduction: Path, star: Any, exclude: Path | None, smearing: str | None) -> tuple[Any, dict[str, Any]]:
    """Return the reduction, and what else describes the measurement."""
    from astronmf.imaging import Reduction

    content = Reduction.read(reduction)
    return content, {"psf": star, "exclude": common.read_mask(exclude), "smearing": common.smearing_of(smearing)}


def _draw(curve: Any, counts: Any, plot: Path | None, completeness_plot: Path | None, overwrite: bool) -> None:
    """Write the figures that were asked for."""
    from astronmf.plotting.contrast import plot_completeness, plot_contrast

    if plot is not None:
        common.save_figure(plot_contrast(curve), plot, overwrite=overwrite)
    if completeness_plot is not None:
        common.save_figure(plot_completeness(counts, curve), completeness_plot, overwrite=overwrite)


def _rows(curve: Any) -> list[tuple[str, str]]:
    """Return the numbers that a user looks at first."""
    meta, last = curve.meta, len(curve) - 1
    unit = getattr(curve["noise"], "unit", None)
    chosen = np.unique(np.linspace(0, last, min(SHOWN, len(curve))).round().astype(int))
    found = ", ".join(f"{one['separation']:.1f} pixels {one['position_angle']:.1f}°" for one in meta["companions"])
    return [
        ("star", f"{meta['star_flux']:.6g}{'' if unit is None else f' {unit}'}, {meta['star_flux_origin']}"),
        ("PSF", f"FWHM {meta['fwhm']:.3g} pixels"),
        ("companions taken off", found or "none"),
        ("throughput", f"{np.nanmin(curve['throughput']):.3f} to {np.nanmax(curve['throughput']):.3f}"),
        *(
            (f"contrast at {_place(curve[i])}", f"{curve['contrast'][i]:.3g} ({meta['sigma']:g} σ, {meta['method']})")
            for i in chosen
        ),
    ]


def _share_rows(counts: Any) -> list[tuple[str, str]]:
    """Return where half of the companions are found."""
    if counts is None:
        return []
    return [(f"50 %, 95 % at {_place(row)}", f"{row['contrast_50']:.3g}, {row['contrast_95']:.3g}") for row in counts]


def _place(row: Any) -> str:
    """Return a row's separation in words."""
    if "separation_angle" in row.colnames:
        return f"{row['separation_angle'].value:.3g} arcsec"
    return f"{row['separation'].value:.3g} pixels"
