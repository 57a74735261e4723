"""``astronmf demo``: the main job on the embedded observation, whose truth is known."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer

from astronmf.cli import common
from astronmf.cli.reduce import summary_rows

__all__ = ["run"]

N_COMPONENTS = 10
INNER, OUTER = 5, 40  # λ/D


def run(
    folder: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")] = Path("astronmf-demo"),
    overwrite: common.Overwrite = False,
) -> None:
    """Reduce the embedded observation of a star with a disk and a planet; write FITS and figures, print numbers."""
    from astronmf import plotting
    from astronmf.datasets import load_simulated, simulated_path
    from astronmf.imaging import build_components, reduce

    began = perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [folder / name for name in ("reduction.fits", "reduction.png", "components.png", "history.png")]
    common.check_outputs(outputs[0], overwrite=overwrite, figures=tuple(outputs[1:]))
    observation = load_simulated()
    radii: dict[str, Any] = {
        "inner_radius": INNER * observation.pixels_per_resolution_element,
        "outer_radius": OUTER * observation.pixels_per_resolution_element,
    }
    with common.progress_bar() as progress:
        components = build_components(observation.references, N_COMPONENTS, **radii, progress=progress)
    plain = reduce(observation.science, components=components, **radii, scale="none")
    result = reduce(observation.science, components=components, **radii, imputation_mask=observation.source_region())
    result.meta["command"] = common.command_line()
    result.write(outputs[0], overwrite=overwrite)
    for path, figure in zip(
        outputs[1:],
        (plotting.plot_reduction(result), plotting.plot_components(components), plotting.plot_history(components)),
        strict=True,
    ):
        common.save_figure(figure, path, overwrite=overwrite)
    rows = [
        ("data", f"{simulated_path('science').name}: two rolls of a simulated star with a disk and a planet"),
        *summary_rows(result),
        *truth_rows(observation, result, plain),
        ("written", f"{folder}: {', '.join(path.name for path in outputs)}"),
        ("time", f"{perf_counter() - began:.1f} s"),
    ]
    common.summary("astronmf demo", rows)


def truth_rows(observation: Any, result: Any, plain: Any) -> list[tuple[str, str]]:
    """Return how well the disk's known flux came back, with its region declared missing and without."""
    predicted = observation.flux_fraction(plain.forward(observation.disk))
    return [
        ("disk flux / truth", f"{observation.flux_fraction(result.combined):.3f} with the disk's region missing"),
        ("", f"{observation.flux_fraction(plain.combined):.3f} without (forward model: {predicted:.3f})"),
        ("noise / photon and read noise", f"{observation.noise_ratio(result):.3f} over 5 to 40 λ/D"),
    ]
