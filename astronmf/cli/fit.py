"""``astronmf fit``: the flux of disks and planets, their geometry, and errors that hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from astronmf.cli import common, modelling

__all__ = ["parameter_listing", "run", "summary_rows", "template_listing"]


@modelling.naming_options
def run(
    reduction: common.ReductionFile,
    output: common.Output,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="TOML file of sources: rings, disks, points, images; with free parameters."),
    ] = None,
    template: Annotated[
        list[Path] | None,
        typer.Option(
            "--template", "-t", metavar="FILE...", help="FITS images of disks or planets, named by their files."
        ),
    ] = None,
    psf: modelling.Psf = None,
    fwhm: common.PsfFwhm = None,
    psf_size: common.PsfSize = None,
    pixel_scale: modelling.ImageScale = None,
    transmission: modelling.Transmission = None,
    smearing: common.Smearing = None,
    star: Annotated[
        str,
        typer.Option(
            "--star",
            help="components: each frame's coefficients are fitted anew; or the models that are there, with one scale "
            "factor for each frame, roll, annulus, or for all.",
        ),
    ] = "components",
    annulus_width: Annotated[
        float | None, typer.Option("--annulus-width", min=1, help="Pixels, with --star annulus.")
    ] = None,
    systematics: Annotated[
        str,
        typer.Option(
            "--systematics",
            metavar="NUMBER|FILE",
            help="By how much the star's model may be wrong, added to the errors: a fraction of its light, or a FITS "
            "image of 1σ.",
        ),
    ] = "0.02",
    free_sign: Annotated[bool, typer.Option("--free-sign", help="Let amplitudes be negative.")] = False,
    calibration: Annotated[
        str | None,
        typer.Option(
            "--calibration",
            help="angles: the templates turned to other position angles give the amplitudes' bias and true error.",
            show_default="none",
        ),
    ] = None,
    n_angles: Annotated[int, typer.Option("--n-angles", min=3, help="How many other angles.")] = 12,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, metavar="STEPS", help="Sample the free parameters with emcee.")
    ] = None,
    walkers: Annotated[
        int | None,
        typer.Option(
            "--walkers", min=2, help="Of emcee, at least 2 a parameter.", show_default="4 a parameter, at least 16"
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Random state of the sampling.")] = 0,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="HDF5 file that every step is written to.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the chain in the checkpoint.")] = False,
    corner: Annotated[
        Path | None, typer.Option("--corner", help="Figure of the samples to write (PNG, PDF, SVG).")
    ] = None,
    table: Annotated[Path | None, typer.Option("--table", help="ECSV table of the amplitudes to write.")] = None,
    plot: common.Plot = None,
    nulls_plot: Annotated[
        Path | None, typer.Option("--calibration-plot", help="Figure of the amplitudes at the other angles to write.")
    ] = None,
    overwrite: common.Overwrite = False,
) -> None:
    """Fit disks, planets and the star to all frames at once: amplitudes with errors.

    astronmf fit out.fits --model disk.toml --psf psf.fits --calibration angles -o fit.fits --plot fit.png

    astronmf fit out.fits --template disk.fits planet.fits -o fit.fits

    Where the TOML file has free parameters, the best ones are found first; --sample 2000 --corner corner.png says how
    well they are known. Templates are fitted with all light that they have: nothing needs to be declared missing in the
    reduction.
    """
    asked = dict(locals())
    from astronmf.imaging import Reduction
    from astronmf.io.fit import write_fit

    began = perf_counter()
    _check(asked)
    content = Reduction.read(reduction)
    sources, free = _sources(asked, content)
    level, file = modelling.read_systematics(systematics, content.unit)
    shared = modelling.observing(psf, fwhm, psf_size, transmission, smearing)
    shared |= {"star": star, "annulus_width": annulus_width, "systematics": level, "non_negative": not free_sign}
    with _chain_told_of(asked["checkpoint"], asked["sample"]), common.progress_bar() as progress:

        def fitted(at: dict[str, Any]) -> Any:
            return content.fit(at, **shared, calibration=calibration, n_angles=n_angles, progress=progress)

        if free:
            found, posterior = _with_parameters(content, sources, free, shared, fitted, asked, progress)
        else:
            found, posterior = fitted(sources), None
    given = {name: asked[name] for name in ("reduction", "model", "psf", "transmission")} | {"systematics": file}
    _describe(found, asked, given, template or [])
    write_fit(found, output, overwrite=overwrite, posterior=posterior)
    _write_others(found, posterior, asked)
    common.listing(f"astronmf fit: {output}", *template_listing(found))
    if found.parameters is not None:
        common.listing("parameters", *parameter_listing(found.parameters))
    common.summary("", [*summary_rows(found), ("time", f"{perf_counter() - began:.1f} s")])


def _check(asked: dict[str, Any]) -> None:
    """Raise if options do not go together, or a file could not be written: before the work, not after it."""
    from astronmf.io.fit import check_chain
    from astronmf.io.tables import check_table_name

    _check_templates(asked)
    for name in ("walkers", "checkpoint", "resume", "corner"):
        if asked[name] and asked["sample"] is None:
            msg = f"'--{name}' needs '--sample' with a number of steps"
            raise ValueError(msg)
    if asked["resume"] and asked["checkpoint"] is None:
        msg = "'--resume' needs '--checkpoint' with the file of the chain"
        raise ValueError(msg)
    if asked["nulls_plot"] is not None and asked["calibration"] is None:
        msg = "'--calibration-plot' needs '--calibration angles'"
        raise ValueError(msg)
    if asked["table"] is not None:
        check_table_name(asked["table"])
    needed = {"emcee": "sample", "h5py": "checkpoint", "corner": "corner"}
    missing = [f"'--{option}' needs {name}" for name, option in needed.items() if asked[option] and not find_spec(name)]
    if missing:
        msg = f"{missing[0]}, which is not installed: pip install 'astronmf[fit]'"
        raise ValueError(msg)
    if asked["resume"]:
        check_chain(asked["checkpoint"])
    chain = None if asked["resume"] else asked["checkpoint"]
    if chain is not None and chain.exists():
        msg = f"{chain} exists; '--resume' goes on with its chain, or name another file"
        raise FileExistsError(msg)
    inputs = [asked[name] for name in ("reduction", "model", "psf", "transmission")]
    inputs += [*(asked["template"] or []), Path(asked["systematics"])]
    figures = (asked["plot"], asked["corner"], asked["nulls_plot"])
    common.check_outputs(
        asked["output"], asked["table"], chain, overwrite=asked["overwrite"], figures=figures, inputs=inputs
    )


def _check_templates(asked: dict[str, Any]) -> None:
    """Raise if there is no template, or one that is none."""
    if asked["model"] is None and not asked["template"]:
        msg = "no template to fit: give '--model' with a TOML file, or '--template' with FITS images"
        raise ValueError(msg)
    for path in asked["template"] or []:
        if path.suffix.lower() == ".toml":
            msg = f"{path}: '--template' takes FITS images; a TOML file of sources is given with '--model'"
            raise ValueError(msg)


def _sources(asked: dict[str, Any], reduction: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all templates by name, and the ranges of their free parameters.

    Raises if `--sample` has none, or too few walkers for them.
    """
    from astronmf.imaging.modelling.sampling import number_of_walkers

    sources: dict[str, Any] = {}
    free: dict[str, Any] = {}
    if asked["model"] is not None:
        sources, free = modelling.sources_of(asked["model"], reduction, asked["pixel_scale"])
    if asked["sample"] is not None and not free:
        msg = "'--sample' needs free parameters: a table such as [disk.free] in the TOML file of '--model'"
        raise ValueError(msg)
    number_of_walkers(sum(map(len, free.values())), asked["walkers"])
    images = modelling.read_images(asked["template"] or [], asked["pixel_scale"])
    for name in images.keys() & sources.keys():
        msg = f"two templates are called {name!r}: one in {asked['model']}, and the file of that name; rename one"
        raise ValueError(msg)
    return sources | images, free


def _with_parameters(
    reduction: Any,
    sources: dict[str, Any],
    free: dict[str, Any],
    shared: dict[str, Any],
    fitted: Any,
    asked: dict[str, Any],
    progress: Any,
) -> tuple[Any, Any]:
    """Return the fit at the best parameters, and their samples if they are asked for."""
    from dataclasses import replace

    from astronmf.imaging.modelling.parameters import noise_factor_of, noise_factors, parameter_table

    likelihood = reduction.likelihood(sources, free, **shared, progress=progress)
    best = likelihood.maximize(progress=progress)
    if reduction.recipe.is_own or reduction.science.sigma is None:  # star or noise know the sources: now better ones
        likelihood = reduction.likelihood(likelihood.at(best), free, **shared, progress=progress)
        best = likelihood.maximize(progress=progress)
    found, posterior = fitted(likelihood.at(best)), None
    factors, largest = noise_factors(found), noise_factor_of(found, free)
    if asked["sample"] is not None:
        posterior = _sampled(replace(likelihood, noise_factor=largest), best, asked, progress)
        if likelihood(posterior.best) > likelihood(best):
            best = posterior.best
            found = fitted(likelihood.at(best))
        if found.calibration is not None:
            found.meta["noise_factor_of_samples"] = largest
    table = parameter_table(likelihood, best, posterior, noise_factors=factors)
    return replace(found, parameters=table), posterior


def _sampled(likelihood: Any, best: Any, asked: dict[str, Any], progress: Any) -> Any:
    """Return samples of the free parameters."""
    from astronmf.imaging.modelling.sampling import sample_posterior

    return sample_posterior(
        likelihood,
        asked["sample"],
        n_walkers=asked["walkers"],
        start=best,
        random_state=asked["seed"],
        checkpoint=asked["checkpoint"],
        resume=asked["resume"],
        progress=progress,
    )


@contextmanager
def _chain_told_of(checkpoint: Path | None, n_steps: int | None) -> Iterator[None]:
    """Say in an interrupt how much of the chain is in its file."""
    from astronmf.imaging.modelling.sampling import chain_length

    try:
        yield
    except KeyboardInterrupt:
        if checkpoint is None or not checkpoint.exists():
            raise
        msg = f"{checkpoint} has {chain_length(checkpoint)} of {n_steps} steps; '--resume' goes on with them"
        raise KeyboardInterrupt(msg) from None


def _describe(found: Any, asked: dict[str, Any], files: dict[str, Path | None], templates: list[Path]) -> None:
    """Write into a fit's meta how it was made, and from what."""
    found.meta["command"] = common.command_line()
    options = ("fwhm", "psf_size", "pixel_scale", "smearing", "sample", "walkers", "seed")
    found.meta["options"] = {name: asked[name] for name in options if asked[name] is not None}
    found.meta["inputs"] += common.provenance_of(**files)
    for path in templates:
        found.meta["inputs"] += common.provenance_of(template=path)


def _write_others(found: Any, posterior: Any, asked: dict[str, Any]) -> None:
    """Write the table and the figures that were asked for."""
    overwrite = asked["overwrite"]
    if asked["table"] is not None:
        from astronmf.io.tables import write_table

        content = found.table()
        content.meta |= {"command": found.meta["command"], "files": found.meta["inputs"]}
        write_table(content, asked["table"], overwrite=overwrite)
    if asked["plot"] is not None:
        from astronmf.plotting import plot_fit

        common.save_figure(plot_fit(found), asked["plot"], overwrite=overwrite)
    if asked["nulls_plot"] is not None:
        from astronmf.plotting import plot_calibration

        common.save_figure(plot_calibration(found), asked["nulls_plot"], overwrite=overwrite)
    if asked["corner"] is not None:
        from astronmf.plotting import plot_posterior

        common.save_figure(plot_posterior(posterior), asked["corner"], overwrite=overwrite)


def template_listing(found: Any) -> tuple[list[str], list[list[str]]]:
    """Return the names of columns, and a row for each template."""
    from astronmf.imaging.detection.catalogue import with_error

    columns, rows, content = ["template", "amplitude", "S/N", "status"], [], found.table()
    in_mjy = "flux_density" in content.colnames
    if in_mjy:
        columns.insert(2, "mJy")
    if found.calibration is not None:
        columns += ["not calibrated", "error x"]
    for j, row in enumerate(content):
        cells = [row["name"], with_error(row["amplitude"], row["error"]), f"{row['snr']:.1f}", row["status"]]
        if in_mjy:
            cells.insert(2, with_error(row["flux_density"].value, row["flux_density_error"].value))
        if found.calibration is not None:
            raw = with_error(row["raw_amplitude"], row["raw_error"])
            cells += [raw, f"{found.calibration.noise_factor[j]:.2f}"]
        rows.append([str(cell) for cell in cells])
    return columns, rows


def parameter_listing(table: Any) -> tuple[list[str], list[list[str]]]:
    """Return the names of columns, and a row for each parameter that was fitted."""
    from astronmf.imaging.detection.catalogue import with_error

    columns, rows = ["parameter", "best", "range"], []
    units = table["unit"] if "unit" in table.colnames else [""] * len(table)
    for row, unit in zip(table, units, strict=True):
        best = " ".join([with_error(row["value"], row["error"]), str(unit)]).rstrip()
        rows.append([str(row["name"]), best, f"{row['low']:g} to {row['high']:g}"])
    if "arcsec" in table.colnames and np.isfinite(table["arcsec"]).any():
        columns.insert(2, "arcsec")
        for cells, row in zip(rows, table, strict=True):
            length = with_error(row["arcsec"], row["arcsec_error"]) if np.isfinite(row["arcsec"]) else ""
            cells.insert(2, length)
    if "median" in table.colnames:
        columns += ["median", "68.3 %"]
        for cells, row in zip(rows, table, strict=True):
            cells.extend([f"{row['median']:.6g}", f"-{row['lower']:.2g} +{row['upper']:.2g}"])
    return columns, rows


def summary_rows(found: Any) -> list[tuple[str, str]]:
    """Return the numbers that a user looks at after the amplitudes."""
    y, x = found.combined.shape
    rows = [
        ("science frames", f"{len(found.residuals)}, of {x} x {y} pixels"),
        ("χ²/dof", f"{found.reduced_chi2:.4f} over {found.n_valid} fitted values"),
    ]
    if np.isfinite(found.condition_number):
        rows.append(("condition number", f"{found.condition_number:.3g}, of the templates"))
    if found.calibration is not None:
        rows.append(("calibration", f"{len(found.calibration.angles)} other position angles"))
    if "noise_factor_of_samples" in found.meta:
        factor = found.meta["noise_factor_of_samples"]
        rows.append(("error x of the samples", f"{factor:.2f}, the largest of the sources that vary"))
    return rows
