"""What `astronmf forward` and `astronmf fit` share: options, and how models and maps are read."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from astronmf._validation import fail
from astronmf.cli import common

__all__ = ["Psf", "Transmission", "naming_options", "observing", "read_images", "read_systematics", "sources_of"]

# Arguments of the library that are options here, of the same name with hyphens.
ARGUMENTS = (
    "annulus_width",
    "calibration",
    "exact",
    "fwhm",
    "n_angles",
    "pixel_scale",
    "psf",
    "smearing",
    "systematics",
    "transmission",
)

Psf = Annotated[
    Path | None,
    typer.Option(
        "--psf",
        help="FITS image of the star, unsaturated, off the coronagraph: what models are convolved with.",
        show_default="models are as the telescope sees them",
    ),
]
Transmission = Annotated[
    Path | None,
    typer.Option(
        "--transmission",
        help="FITS image: the share of the light that passes at each pixel of the detector.",
        show_default="all",
    ),
]
ImageScale = Annotated[
    float | None,
    typer.Option(
        "--pixel-scale",
        help="Of FITS images of models: arcseconds a pixel.",
        show_default="from their headers, else that of the data",
    ),
]


def naming_options(run: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose errors name options, not the library's arguments."""

    @functools.wraps(run)
    def command(*args: Any, **options: Any) -> None:
        try:
            run(*args, **options)
        except ValueError as error:
            raise ValueError(with_options(str(error))) from error

    return command


def with_options(message: str) -> str:
    """Return an error's message with options in the place of arguments; what was not given is not shown as `None`."""
    named = re.sub(rf"'({'|'.join(ARGUMENTS)})'", lambda found: f"'--{found[1].replace('_', '-')}'", message)
    return named.removesuffix(", got None") if named != message else message


def observing(
    psf: Path | None, fwhm: float | None, size: int | None, transmission: Path | None, smearing: str | None
) -> dict[str, Any]:
    """Return how the sky becomes frames, as the library takes it."""
    from astronmf.io.maps import read_map

    return {
        "psf": None if psf is None else common.read_star(psf, fwhm, size, None)[0],
        "transmission": None if transmission is None else read_map(transmission, "a transmission map"),
        "smearing": common.smearing_of(smearing),
    }


def sources_of(model: Path, reduction: Any, pixel_scale: float | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the sources that a TOML file describes, or that a FITS image is, by name, and what may be free."""
    from astronmf.io.models import read_model

    if model.suffix.lower() != ".toml":
        return read_images([model], pixel_scale), {}
    return tuple(read_model(model, pixel_scale=reduction.science.geometry.pixel_scale))  # type: ignore[return-value]


def read_images(paths: list[Path], pixel_scale: float | None) -> dict[str, Any]:
    """Return FITS images as sources that are named by their files."""
    from astronmf.io.models import read_model_image

    found: dict[str, Any] = {}
    for path in paths:
        name = path.name.removesuffix(".gz").rpartition(".")[0] or path.name
        if name in found:
            msg = f"{path}: another template is called {name!r} too; rename one"
            raise ValueError(msg)
        found[name] = read_model_image(path, pixel_scale=pixel_scale)
    return found


def read_systematics(option: str, unit: Any) -> tuple[Any, Path | None]:
    """Return a fraction, or the map in a file, and the file."""
    from astronmf.io.maps import read_map

    try:
        return float(option), None
    except ValueError:
        path = Path(option)
        if not path.exists():
            raise fail("systematics", "a number, or a FITS image that is there", repr(option)) from None
        return read_map(path, "a systematic error", unit=unit, dimensions=(2, 3)), path
