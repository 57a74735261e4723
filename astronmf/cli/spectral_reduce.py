"""``astronmf reduce`` of exposures of several wavelengths: to one image of each."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from astronmf._validation import fail
from astronmf.cli import common

__all__ = ["MaxChannels", "MinSeparation", "Wavelengths", "is_meant", "run"]

Wavelengths = Annotated[
    Path | None,
    typer.Option(
        "--wavelengths",
        help="FITS or text file of the channels' wavelengths, µm: each is reduced.",
        show_default="from the file, if it has four axes",
    ),
]
MinSeparation = Annotated[
    float | None,
    typer.Option(
        "--min-separation",
        min=0,
        help="sdi, asdi: a channel's references are channels in which a source has moved by so many FWHM.",
        show_default="all others",
    ),
]
MaxChannels = Annotated[
    int | None,
    typer.Option("--max-channels", min=1, help="sdi, asdi: at most so many of them.", show_default="all"),
]

#: Options of ``astronmf reduce`` that have no meaning here.
UNUSED = ("components", "mapping", "plot", "cube")


def is_meant(asked: dict[str, Any]) -> bool:
    """Return whether options, by name, or the files that they name, are of several wavelengths."""
    from astronmf.io.spectral import holds_wavelengths

    by_option = asked["mode"] in ("sdi", "asdi") or asked["wavelengths"] is not None
    return by_option or any(holds_wavelengths(path) for path in asked["science"])


def run(asked: dict[str, Any]) -> None:
    """Remove the star from every channel.

    Parameters
    ----------
    asked
        The options of ``astronmf reduce``, by name.
    """
    from astronmf.imaging import reduce_spectral
    from astronmf.imaging.scaling import as_scale

    began = perf_counter()
    for name in UNUSED:
        if asked[name] is not None:
            option = f"--{name}"
            raise fail(option, "left out where there are several wavelengths", asked[name])
    files = {name: asked[name] for name in ("angles", "wavelengths", "mask", "imputation_mask")}
    output, references = asked["output"], asked["references"] or []
    inputs = (*asked["science"], *references, *files.values())
    common.check_outputs(output, overwrite=asked["overwrite"], inputs=inputs)
    frames = _read(asked["science"], asked, angles=asked["angles"], angle_key=asked["angle_key"])
    others = _read(references, asked) if references else None
    same = (
        "mode",
        "n_components",
        "min_rotation",
        "fwhm",
        "annulus_width",
        "n_segments",
        "imputation_frame",
        "combine",
    )
    with common.progress_bar() as progress:
        result = reduce_spectral(
            frames,
            others,
            **{name: asked[name] for name in same},
            **{name: asked[name] for name in ("min_separation", "max_channels")},
            inner_radius=asked["inner"],
            outer_radius=asked["outer"],
            mask=common.read_mask(asked["mask"]),
            imputation_mask=common.read_mask(asked["imputation_mask"]),
            scale=as_scale(asked["scale"]),
            estimator=common.estimator(asked["tol"], asked["max_iter"], asked["seed"]),
            progress=progress,
        )
    result.meta["inputs"] += common.provenance_of(**files)
    result.meta["command"] = common.command_line()
    result.write(output, overwrite=asked["overwrite"])
    common.summary(
        f"astronmf reduce: {output}", [*_rows(result, len(frames)), ("time", f"{perf_counter() - began:.1f} s")]
    )


def _read(paths: list[Path], asked: dict[str, Any], **options: Any) -> Any:
    """Read exposures with the options that were given."""
    from astronmf.imaging import SpectralFrames
    from astronmf.io.files import read_angles

    options |= {name: asked[name] for name in ("wavelengths", "center", "pixel_scale", "dq_bits")}
    if options.get("angles") is not None:
        options["angles"] = read_angles(options["angles"])
    return SpectralFrames.read(list(paths), **{name: value for name, value in options.items() if value is not None})


def _rows(result: Any, n_exposures: int) -> list[tuple[str, str]]:
    """Return the numbers that a user looks at first."""
    unit = "" if result.unit is None else f" {result.unit}"
    channels, y, x = result.combined.shape
    blank = int(np.isnan(result.combined).sum())
    low, high = result.wavelengths[[0, -1]]
    return [
        ("exposures", f"{n_exposures}, of {channels} channels of {x} x {y} pixels"),
        ("wavelengths", f"{low:.4g} to {high:.4g} µm"),
        (
            "components",
            f"{result.meta['parameters']['n_components']} in each channel, mode {result.meta['parameters']['mode']}",
        ),
        ("missing values", f"{blank / channels:.0f} blank pixels in an image"),
        ("typical error", f"{float(np.nanmedian(result.combined_uncertainty)):.3g}{unit} a pixel"),
        ("of all channels", f"{float(np.nanmedian(result.collapsed_uncertainty)):.3g}{unit} a pixel"),
    ]
