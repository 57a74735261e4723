"""pyKLIP: its datasets and PSF libraries as frames, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import as_real_array, check_shape, fail
from astronmf.adapters._neighbour import needed
from astronmf.imaging.frames import Frames, check_same_grid
from astronmf.imaging.preparation.recentering import recenter

__all__ = ["frames_from_klip", "klip_arguments", "klip_dataset", "klip_library", "references_from_klip"]

Spectral = Frames | Mapping[float, Frames]


def frames_from_klip(
    dataset: Any, *, to: tuple[float, float] | None = None, pixel_scale: float | None = None, unit: Any = None
) -> dict[float, Frames]:
    """Return the frames of a pyKLIP dataset, wavelength by wavelength.

    Parameters
    ----------
    dataset : pyklip.instruments.Instrument.Data, or anything with its attributes
        ``input`` (n, y, x), ``centers`` (n, 2) as (x, y), ``PAs``, ``wvs``, ``filenames``, ``IWA``, and if they are
        there ``OWA`` and ``flipx``. NaN is missing.
    to : (x, y), optional
        Where the star is to be. By default it stays where it is if it is at one place in all frames of a wavelength;
        else those frames are recentred on the middle pixel.
    pixel_scale : float, optional
        Arcseconds a pixel.
    unit : astropy unit or str, optional
        Of the data.

    Returns
    -------
    dict
        Of `Frames` by wavelength, in pyKLIP's numbers (microns), ascending, frames in the dataset's order. ``PAs`` are
        the frames' angles: both turn a frame by so much counter-clockwise to bring north up. With ``flipx`` frames are
        mirrored (parity −1); pyKLIP turns them over last, so that their angles have the other sign here. Names are the
        filenames; ``meta`` has "wavelength", "inner_radius" (IWA) and "outer_radius" (OWA), in pixels or `None`.

    Raises
    ------
    ValueError
        If the shapes disagree, or a centre is not inside its frame.
    """
    cube = as_real_array("input", dataset.input)
    check_shape("input", cube, (None, None, None))
    centers = as_real_array("centers", dataset.centers)
    check_shape("centers", centers, (len(cube), 2))
    wavelengths, names = np.asarray(dataset.wvs), np.asarray(dataset.filenames)
    parity = -1 if getattr(dataset, "flipx", False) else 1
    angles = parity * as_real_array("PAs", dataset.PAs)
    for name, values in (("wvs", wavelengths), ("filenames", names), ("PAs", angles)):
        check_shape(name, values, (len(cube),))
    found = {}
    for wavelength in np.unique(wavelengths):
        rows = np.flatnonzero(wavelengths == wavelength)
        frames = Frames(
            cube[rows],
            mask=~np.isfinite(cube[rows]),
            angles=angles[rows],
            center=tuple(centers[rows[0]]),
            pixel_scale=pixel_scale,
            parity=parity,
            unit=unit,
            names=names[rows].tolist(),
            meta=_about(dataset) | {"wavelength": wavelength.item()},
        )
        found[wavelength.item()] = _centred(frames, centers[rows], to)
    return found


def _about(dataset: Any) -> dict[str, Any]:
    """Return the radii that a dataset is to be reduced between."""
    return {"inner_radius": dataset.IWA, "outer_radius": getattr(dataset, "OWA", None)}


def _centred(frames: Frames, centers: FloatArray, to: tuple[float, float] | None) -> Frames:
    """Return frames with one star position, moved only if they must be."""
    here = centers[0] if to is None else np.asarray(to)
    return frames if (centers == here).all() else recenter(frames, centers, to=to)


def references_from_klip(
    library: Any, *, wavelength: float | None = None, pixel_scale: float | None = None, unit: Any = None
) -> Frames:
    """Return the frames of a pyKLIP PSF library, as reference frames.

    Parameters
    ----------
    library : pyklip.rdi.PSFLibrary, or anything with its attributes
        ``master_library`` (n, y, x), ``aligned_center`` (x, y), ``master_filenames``, ``master_wvs`` and
        ``isgoodpsf``. Where it was prepared for a dataset, frames of that dataset and those found bad are left out.
    wavelength : float, optional
        Take frames of this wavelength only.
    pixel_scale : float, optional
        Arcseconds a pixel.
    unit : astropy unit or str, optional
        Of the data.

    Returns
    -------
    Frames
        Centred on `aligned_center`, all of them marked as references. Science frames of other centres are brought there
        by ``frames_from_klip(dataset, to=library.aligned_center)``.
    """
    cube = as_real_array("master_library", library.master_library)
    check_shape("master_library", cube, (None, None, None))
    chosen = np.ones(len(cube), dtype=bool)
    if library.isgoodpsf is not None:
        chosen = np.isin(np.arange(len(cube)), library.isgoodpsf)
    if wavelength is not None:
        if library.master_wvs is None:
            raise fail("wavelength", "left out for a library that has no wavelengths", wavelength)
        chosen &= np.asarray(library.master_wvs) == wavelength
    if not chosen.any():
        raise fail("library", "such that frames are left to use", f"none of {len(cube)}")
    return Frames(
        cube[chosen],
        mask=~np.isfinite(cube[chosen]),
        center=tuple(library.aligned_center),
        pixel_scale=pixel_scale,
        unit=unit,
        names=np.asarray(library.master_filenames)[chosen].tolist(),
        is_reference=True,
    )


def klip_arguments(frames: Spectral, *, inner_radius: float | None = None) -> dict[str, Any]:
    """Return frames as the arguments of ``pyklip.instruments.Instrument.GenericData``.

    Parameters
    ----------
    frames : Frames, or dict of Frames by wavelength
        As `frames_from_klip` returns them; masked pixels become NaN. Errors have no place in pyKLIP's datasets.
    inner_radius : float, optional
        In pixels; by default what the frames' ``meta`` says, else 0.

    Returns
    -------
    dict
        ``input_data`` (n, y, x), ``centers`` (n, 2) as (x, y), ``parangs``, ``wvs``, ``IWA``, ``filenames`` and
        ``flipx``. Frames of several wavelengths come exposure by exposure, as pyKLIP wants them: all wavelengths of the
        first, then all of the second. Frames without angles have angle 0.

    Raises
    ------
    ValueError
        If wavelengths have different numbers of frames, shapes or parities.
    """
    channels = dict(frames) if isinstance(frames, Mapping) else {frames.meta.get("wavelength", 1.0): frames}
    if not channels:
        raise fail("frames", "of at least one wavelength", "none")
    first = next(iter(channels.values()))
    for channel in channels.values():
        check_shape("frames", channel.data, first.shape)
        if channel.geometry.parity != first.geometry.parity:
            raise fail("frames", f"of parity {first.geometry.parity} like the others", channel.geometry.parity)
    parity, each = first.geometry.parity, list(channels.values())
    n = len(first)
    angles = [np.zeros(n) if channel.angles is None else parity * channel.angles for channel in each]
    radius = first.meta.get("inner_radius") if inner_radius is None else inner_radius
    return {
        "input_data": _in_turn([np.where(channel.mask, np.nan, channel.data) for channel in each]),
        "centers": _in_turn([np.tile(channel.geometry.center, (n, 1)) for channel in each]),
        "parangs": _in_turn(angles),
        "wvs": _in_turn([np.full(n, wavelength) for wavelength in channels]),
        "IWA": 0 if radius is None else radius,
        "filenames": _in_turn([np.array(channel.names) for channel in each]),
        "flipx": parity == -1,
    }


def _in_turn(parts: list[Any]) -> Any:
    """Return arrays of the same length, (n, ...), in one: the first of each, then the second of each."""
    return np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])


def klip_dataset(frames: Spectral, *, inner_radius: float | None = None, outer_radius: float | None = None) -> Any:
    """Return a ``pyklip.instruments.Instrument.GenericData`` of frames.

    Parameters
    ----------
    frames, inner_radius
        As of `klip_arguments`.
    outer_radius : float, optional
        In pixels, pyKLIP's ``OWA``; by default what the frames' ``meta`` says.

    Raises
    ------
    ModuleNotFoundError
        If pyKLIP is not installed.
    """
    arguments = klip_arguments(frames, inner_radius=inner_radius)
    dataset = needed("pyklip.instruments.Instrument", "klip_dataset").GenericData(**arguments)
    first = next(iter(frames.values())) if isinstance(frames, Mapping) else frames
    dataset.OWA = first.meta.get("outer_radius") if outer_radius is None else outer_radius
    return dataset


def klip_library(science: Frames, references: Frames) -> Any:
    """Return a ``pyklip.rdi.PSFLibrary`` of one wavelength for a dataset of science frames.

    Parameters
    ----------
    science : Frames
        Of which `klip_dataset` makes the dataset. pyKLIP wants them in the library to know how alike they are, and
        leaves them out by their names when it prepares the library: ``library.prepare_library(dataset)``.
    references : Frames
        On the same pixels, of other names.

    Raises
    ------
    ModuleNotFoundError
        If pyKLIP is not installed.
    ValueError
        If the references do not fit, or share a name with a science frame.
    """
    check_same_grid(science, references, "references")
    shared = sorted(set(science.names) & set(references.names))
    if shared:
        raise fail("references", "of other names than the science frames, by which pyKLIP tells them apart", shared[0])
    both = [np.where(frames.mask, np.nan, frames.data) for frames in (science, references)]
    wavelength = science.meta.get("wavelength", 1.0)
    return needed("pyklip.rdi", "klip_library").PSFLibrary(
        np.concatenate(both),
        np.array(science.geometry.center),
        np.array([*science.names, *references.names]),
        wvs=np.full(len(science) + len(references), wavelength),
        compute_correlation=True,
    )
