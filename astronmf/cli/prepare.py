"""``astronmf prepare``: from frames as they were taken to frames that can be reduced."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import numpy as np
import typer

from astronmf._typing import FloatArray
from astronmf._validation import fail
from astronmf.cli import common

__all__ = ["run", "step_rows"]


def run(
    files: common.Inputs,
    output: common.Output,
    center: common.Center = None,
    center_method: Annotated[
        str | None,
        typer.Option(
            "--center-method",
            help="gaussian, moffat, doughnut, satellite_spots, radon or cross_correlation; starts from --center.",
        ),
    ] = None,
    recenter: Annotated[
        bool | None,
        typer.Option(
            "--recenter/--no-recenter",
            help="Move the star to pixel (nx // 2, ny // 2) from 0, or only note where it is.",
            show_default="recenter, if a centre or a method is given",
        ),
    ] = None,
    spot_separation: Annotated[
        float | None, typer.Option("--spot-separation", min=0, help="Of satellite spots from the star, pixels.")
    ] = None,
    spot_angle: Annotated[
        float, typer.Option("--spot-angle", help="Of any of the four spots, degrees counter-clockwise from +x.")
    ] = 45.0,
    saturation: Annotated[
        float | None, typer.Option("--saturation", help="Level at which pixels take no part in a fit of the star.")
    ] = None,
    inner: common.Inner = None,
    outer: common.Outer = None,
    crop: Annotated[int | None, typer.Option("--crop", min=1, help="Side of the frames to cut out, pixels.")] = None,
    bad_pixels: Annotated[bool, typer.Option("--bad-pixels", help="Find and mask bad pixels and cosmic rays.")] = False,
    fwhm: Annotated[float, typer.Option("--fwhm", help="Of the sharpest source, pixels: sharper is bad.")] = 2.0,
    background: Annotated[
        str | None, typer.Option("--background", help="constant, map, or a FITS file of frames or one image.")
    ] = None,
    background_inner: Annotated[
        float | None, typer.Option("--background-inner", min=0, help="Background is farther from the star, pixels.")
    ] = None,
    normalize: Annotated[bool, typer.Option("--normalize", help="Divide by the flux of --inner to --outer.")] = False,
    reject_below: Annotated[
        float | None, typer.Option("--reject-below", help="Least correlation with the median of --inner to --outer.")
    ] = None,
    binning: Annotated[
        int | None, typer.Option("--bin", min=1, help="Frames to average, of those that follow.")
    ] = None,
    mask: common.Mask = None,
    angles: common.Angles = None,
    angle_key: common.AngleKey = None,
    pixel_scale: common.PixelScale = None,
    dq_bits: common.DqBits = None,
    mapping: common.Mapping = None,
    plot: common.Plot = None,
    overwrite: common.Overwrite = False,
) -> None:
    """Mask bad pixels of FILE frames, subtract background, recentre, crop, normalize, reject and bin, in this order.

    astronmf prepare FILE... --bad-pixels --center-method gaussian --crop 101 -o prepared.fits
    """
    from astronmf.imaging import preparation
    from astronmf.imaging.preparation.records import recorded

    began = perf_counter()
    background_file = _file_of(background)
    read = (*files, background_file, mask, angles, mapping)
    common.check_outputs(output, overwrite=overwrite, figures=(plot,), inputs=read)
    shared = {"angle_key": angle_key, "pixel_scale": pixel_scale, "dq_bits": dq_bits, "mapping": mapping}
    raw, places = _read(files, center, shared, angles, center_method is not None)
    raw = type(raw)(raw, mask=common.read_mask(mask))
    level = background if background_file is None else _background(background_file)
    inputs = common.provenance_of(background=background_file, mask=mask, angles=angles, mapping=mapping)
    found = {"inputs": [*raw.meta.get("inputs", []), *inputs]}
    radii = {"inner_radius": inner, "outer_radius": outer}
    spots = {"separation": spot_separation, "angle": spot_angle}
    how = _centering(center_method, places, radii | {"saturation": saturation}, spots)
    do: Any = preparation
    apart = bool((places != places[0]).any())
    move = recenter if recenter is not None else center is not None or center_method is not None or apart
    with common.progress_bar() as progress:
        frames = recorded(raw, "read", {"command": common.command_line()}, found)
        for wanted, step in (
            (bad_pixels, partial(do.mask_bad_pixels, fwhm=fwhm, progress=progress)),
            (background, partial(do.subtract_background, background=level, inner_radius=background_inner)),
            (move, partial(do.recenter, progress=progress, **how)),
            (center_method and not move, partial(do.set_center, progress=progress, **how)),
            (crop, partial(do.crop, size=crop)),
            (normalize, partial(do.normalize_flux, **radii)),
            (reject_below is not None, partial(do.reject_frames, min_correlation=reject_below, **radii)),
            (binning, partial(do.bin_frames, n=binning)),
        ):
            frames = step(frames) if wanted else frames
    frames.write(output, overwrite=overwrite)
    if plot is not None:
        from astronmf.plotting.preparation import plot_preparation

        common.save_figure(plot_preparation(raw, frames), plot, overwrite=overwrite)
    rows = [*_rows(frames), *step_rows(frames.meta["preparation"]), ("time", f"{perf_counter() - began:.1f} s")]
    common.summary(f"astronmf prepare: {output}", rows)


def _file_of(background: str | None) -> Path | None:
    """Return the file that the option names, if it is none of the methods."""
    from astronmf.imaging.preparation.background import METHODS

    return None if background is None or background in METHODS else Path(background)


def _background(path: Path) -> Any:
    """Return the frames in a file of background; where their star would be does not matter."""
    return common.read_frames([path], center=(0, 0))


def _read(
    files: list[Path], center: Any, shared: dict[str, Any], angles: Path | None, anywhere: bool
) -> tuple[Any, FloatArray]:
    """Return all frames in one stack, and about where the star is in each: files may differ in that.

    Parameters
    ----------
    files, center, shared
        What to read, and how.
    angles
        A file with those of all frames.
    anywhere
        Whether the middle of a frame will do, where nothing says where the star is.
    """
    from astronmf.imaging import Frames
    from astronmf.io.files import read_angles

    if angles is not None and shared["angle_key"] is not None:
        raise fail("angles", "given in one way", "--angles and --angle-key")
    stacks = [_read_one(path, center, shared, anywhere) for path in files]
    places = np.concatenate([np.tile(stack.geometry.center, (len(stack), 1)) for stack in stacks])
    first = stacks[0].geometry.center
    frames = Frames.concatenate([Frames(stack, center=first) for stack in stacks])
    return frames if angles is None else Frames(frames, angles=read_angles(angles)), places


def _read_one(path: Path, center: Any, shared: dict[str, Any], anywhere: bool) -> Any:
    """Return a file's frames."""
    try:
        return common.read_frames([path], center=center, **shared)
    except ValueError as error:
        if not anywhere or "'center' must be given" not in str(error):
            raise
    frames = common.read_frames([path], center=(0, 0), **shared)
    _, y, x = frames.shape
    return type(frames)(frames, center=((x - 1) / 2, (y - 1) / 2))


def _centering(method: str | None, places: FloatArray, pixels: dict[str, Any], spots: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `recenter`: of the method's own, those that were given."""
    if method != "satellite_spots" and spots["separation"] is not None:
        raise fail("spot_separation", "left out without '--center-method satellite_spots'", spots["separation"])
    if pixels["saturation"] is not None and method not in ("gaussian", "moffat", "doughnut"):
        raise fail("saturation", "left out without a fit (gaussian, moffat, doughnut)", pixels["saturation"])
    if method is None:
        return {"centers": places}
    own = spots if method == "satellite_spots" else pixels
    return {"method": method, "guess": places} | {name: value for name, value in own.items() if value is not None}


def _rows(frames: Any) -> list[tuple[str, str]]:
    """Return what the frames are now."""
    x, y = frames.geometry.center
    return [
        ("frames", f"{len(frames)} of {frames.shape[2]} x {frames.shape[1]} pixels, {frames.mask.mean():.2%} masked"),
        ("star at (x, y)", f"({x:g}, {y:g}) from 0"),
    ]


def step_rows(steps: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return what each step of a preparation found."""
    return [(step["step"].replace("_", " "), _told(step)) for step in steps]


def _told(step: dict[str, Any]) -> str:
    """Return what one step found, in a line."""
    for key, tell in TOLD.items():
        if key in step:
            return tell(step)
    return f"{len(step['frames'])} frames"


def _tell_centers(step: dict[str, Any]) -> str:
    centers = np.array(step["centers"])
    x, y = np.median(centers, axis=0)
    across, up = np.std(centers, axis=0)
    return f"star at ({x:.2f}, {y:.2f}), scatter ({across:.2f}, {up:.2f}) pixels: {step['parameters']['method']}"


def _tell_rejected(step: dict[str, Any]) -> str:
    names = ", ".join(item["frame"] for item in step["rejected"])
    return f"{len(step['rejected'])} of {len(step['frames'])} frames left out{': ' if names else ''}{names}"


def _tell_levels(step: dict[str, Any]) -> str:
    levels = [level for level in step["levels"] if level is not None]
    what = step["parameters"]["background"]
    return f"{what}, levels {min(levels):.4g} to {max(levels):.4g}" if levels else what


#: What is told of a step, by what its record holds.
TOLD: dict[str, Callable[[dict[str, Any]], str]] = {
    "inputs": lambda step: ", ".join(item["name"] for item in step["inputs"]),
    "centers": _tell_centers,
    "masked": lambda step: f"{sum(step['masked'])} values masked; {step['always']} pixels in all frames",
    "levels": _tell_levels,
    "factors": lambda step: f"factors {min(step['factors']):.4f} to {max(step['factors']):.4f}",
    "rejected": _tell_rejected,
    "bins": lambda step: f"{len(step['frames'])} frames to {len(step['bins'])}",
    "first_pixel": lambda step: f"to {step['parameters']['size'][1]} x {step['parameters']['size'][0]} pixels",
}
