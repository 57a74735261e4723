"""VIP: an algorithm for its `algo` arguments, and its cubes and datasets as frames and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import as_real_array, check_one_of_two, check_shape, fail
from astronmf.adapters._neighbour import needed
from astronmf.imaging.combination import combine, turn
from astronmf.imaging.frames import Frames, check_same_grid
from astronmf.imaging.geometry import center_pixel
from astronmf.imaging.reduction import Reduction
from astronmf.imaging.subtraction import reduce

__all__ = ["frames_from_vip", "frames_from_vip_dataset", "vip_algo", "vip_dataset"]

#: Options that VIP takes for its own injections and hands on to the algorithm with everything else.
NOT_FOR_US = ("imlib", "interpolation", "nproc")

DEFAULT = "default"  # of `collapse`, for which `None` has a meaning in VIP

#: Options of VIP's own algorithms that `reduce` has by another name.
OUR_NAMES = {
    "asize": "annulus_width",
    "delta_rot": "min_rotation",
    "mask_center_px": "inner_radius",
    "radius_int": "inner_radius",
}


def vip_algo(
    cube: Any,
    angle_list: Any,
    cube_ref: Any = None,
    ncomp: int | None = None,
    fwhm: float | None = None,
    verbose: bool = False,  # noqa: ARG001 (VIP passes it; nothing is printed)
    *,
    collapse: str | None = DEFAULT,
    full_output: bool = False,
    blank: float = 0.0,
    mode: str | None = None,
    **options: Any,
) -> Any:
    """Subtract the star by sequential NMF, called as VIP calls an algorithm.

    For the argument `algo` of ``vip_hci.metrics.contrast_curve``, ``completeness_curve`` and ``completeness_map``, and
    of ``vip_hci.fm.firstguess``, ``mcmc_negfc_sampling`` and their kin.

    Parameters
    ----------
    cube : (n, y, x) or (wavelength, n, y, x) array
        The star at VIP's centre: pixel ``n // 2`` of even sizes, the middle one of odd sizes. NaN is missing. Each
        wavelength is reduced on its own, and the images are averaged.
    angle_list : (n,) array
        VIP's derotation angles, degrees: the same numbers as `Frames.angles`.
    cube_ref : (m, y, x) or (wavelength, m, y, x) array, optional
        Of other stars, aligned alike.
    ncomp : int, optional
        `n_components` of `reduce`, by the name that VIP has for it.
    fwhm : float, optional
        In pixels; used with ``min_rotation=``.
    verbose
        Without effect.
    collapse : {"default", "mean", "median", "weighted", None}
        `combine` of `reduce`, and its default for the mode. `None`: the derotated residuals, not combined.
    full_output
        Whether to return all that VIP's own ``nmf`` does.
    blank : float
        What stands where nothing was reduced. VIP's own algorithms write 0 there, and its aperture sums know no NaN;
        ``blank=np.nan`` keeps such pixels from being taken for quiet ones.
    mode : {"adi", "rdi", "ardi"}, optional
        "rdi" with `cube_ref`, "adi" without it.
    **options
        Anything else that `reduce` takes, by its names: ``inner_radius``, ``outer_radius``, ``annulus_width``,
        ``min_rotation``, ``mask``, ``imputation_mask``, ``estimator``, … VIP's ``imlib``, ``interpolation`` and
        ``nproc``, which are for its injections, have no effect here.

    Returns
    -------
    (y, x) array
        North up, the star at VIP's centre; (n, y, x) with ``collapse=None``. With `full_output` a tuple: components
        (k, y, x), models, residuals and derotated residuals (n, y, x), and the image; for several wavelengths all but
        the image have an axis more in front.

    Raises
    ------
    ValueError
        As `reduce`, and where an option is one of VIP's that `reduce` knows by another name.
    """
    settings = _settings(ncomp, fwhm, collapse, options)
    settings["mode"] = ("adi" if cube_ref is None else "rdi") if mode is None else mode
    channels = _by_wavelength(cube, cube_ref)
    results = (_reduced(channel, angle_list, library, settings) for channel, library in channels)
    found = [(*(_parts(result) if full_output else ()), _image(result, collapse)) for result in results]
    parts = _together(found) if np.ndim(cube) == 4 else found[0]
    filled = tuple(np.where(np.isfinite(part), part, blank) for part in parts)
    return filled if full_output else filled[0]


def _settings(ncomp: int | None, fwhm: float | None, collapse: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `reduce` from those that VIP handed on."""
    for name in sorted(OUR_NAMES.keys() & options.keys()):
        raise fail(name, f"given by its name in astronmf.imaging.reduce, '{OUR_NAMES[name]}'", options[name])
    check_one_of_two("ncomp", ncomp, "n_components", options.get("n_components"))
    renamed = {"n_components": ncomp, "combine": None if collapse == DEFAULT else collapse, "fwhm": fwhm}
    return renamed | {name: value for name, value in options.items() if name not in NOT_FOR_US}


def _by_wavelength(cube: Any, cube_ref: Any) -> list[tuple[Any, Any]]:
    """Return the cube and the library of each wavelength; a cube of three axes has one."""
    if np.ndim(cube) != 4:
        return [(cube, cube_ref)]
    if cube_ref is None:
        return [(channel, None) for channel in cube]
    check_shape("cube_ref", np.asarray(cube_ref), (len(cube), None, None, None))
    return list(zip(cube, cube_ref, strict=True))


def _reduced(cube: Any, angle_list: Any, cube_ref: Any, settings: dict[str, Any]) -> Reduction:
    references = None if cube_ref is None else frames_from_vip(cube_ref)
    return reduce(frames_from_vip(cube, angle_list), references, **settings)


def _image(result: Reduction, collapse: str | None) -> FloatArray:
    """Return the combined image, or derotated residuals that are not to be combined."""
    return result.combined if collapse is not None else turn(result.residuals, result.science.geometry)


def _parts(result: Reduction) -> tuple[FloatArray, ...]:
    """Return what VIP's ``nmf`` returns before the image with ``full_output=True``."""
    turned = turn(result.residuals, result.science.geometry)
    return result.components.data, result.models, result.residuals, turned


def _together(found: list[tuple[FloatArray, ...]]) -> tuple[FloatArray, ...]:
    """Return stacks of what was found for each wavelength, and the mean of the images."""
    *stacks, images = (np.stack(part) for part in zip(*found, strict=True))
    return (*stacks, combine(images, np.ones_like(images), "mean").image)


def frames_from_vip(cube: Any, angle_list: Any = None, *, pixel_scale: float | None = None, unit: Any = None) -> Frames:
    """Return frames of a cube as VIP has them.

    Parameters
    ----------
    cube : (n, y, x) array
        The star at VIP's centre, pixel ``n // 2`` of even sizes, the middle one of odd sizes. NaN and Inf are masked.
    angle_list : (n,) array, optional
        Degrees; the same numbers as `Frames.angles`.
    pixel_scale : float, optional
        Arcseconds a pixel, VIP's ``plsc`` or ``px_scale``.
    unit : astropy unit or str, optional
        Of the data.
    """
    data = as_real_array("cube", cube)
    if data.ndim != 3:
        raise fail("cube", "of shape (n, y, x), one wavelength at a time", data.shape)
    center = center_pixel((data.shape[1], data.shape[2]))
    return Frames(data, mask=~np.isfinite(data), angles=angle_list, center=center, pixel_scale=pixel_scale, unit=unit)


def frames_from_vip_dataset(dataset: Any) -> tuple[Frames, Frames | None]:
    """Return the science frames and the reference frames of a ``vip_hci.objects.Dataset``.

    Parameters
    ----------
    dataset
        With ``cube`` of one wavelength, ``angles``, ``px_scale`` and ``cuberef``.

    Returns
    -------
    science : Frames
    references : Frames or None
    """
    science = frames_from_vip(dataset.cube, dataset.angles, pixel_scale=dataset.px_scale)
    if dataset.cuberef is None:
        return science, None
    return science, frames_from_vip(dataset.cuberef, pixel_scale=dataset.px_scale)


def vip_dataset(
    science: Frames, references: Frames | None = None, *, psf: Any = None, fwhm: float | None = None
) -> Any:
    """Return a ``vip_hci.objects.Dataset`` of frames: values, angles and pixel scale.

    Parameters
    ----------
    science : Frames
        The star at VIP's centre (`astronmf.imaging.preparation.recenter` puts it there). Masked pixels become NaN;
        errors have no place in VIP's datasets.
    references : Frames, optional
        Of other stars.
    psf : (y, x) array, optional
        The star seen without the coronagraph.
    fwhm : float, optional
        In pixels.

    Raises
    ------
    ModuleNotFoundError
        If VIP is not installed.
    ValueError
        If the star is not at VIP's centre, the frames are mirrored, or the references do not fit.
    """
    cube = _vip_cube("science", science)
    library = None
    if references is not None:
        check_same_grid(science, references, "references")
        library = _vip_cube("references", references)
    scale = science.geometry.pixel_scale
    dataset = needed("vip_hci.objects", "vip_dataset").Dataset
    return dataset(cube, angles=science.angles, fwhm=fwhm, px_scale=scale, psf=psf, cuberef=library)


def _vip_cube(name: str, frames: Frames) -> FloatArray:
    """Return the values, (n, y, x), NaN where masked, of frames that are as VIP has them."""
    center = center_pixel((frames.shape[1], frames.shape[2]))
    if not np.allclose(frames.geometry.center, center, atol=1e-6):
        raise fail(name, f"with the star at VIP's centre, {center}; recenter them", frames.geometry.center)
    if frames.geometry.parity != 1:
        raise fail(name, "sky-handed (parity 1), as VIP knows no other", frames.geometry.parity)
    return np.where(frames.mask, np.nan, frames.data)
