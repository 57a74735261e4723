"""`Frames`: a stack of images with errors, mask, angles and geometry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Self

import astropy.units as u
import numpy as np
from astropy.nddata import NDData, StdDevUncertainty

from astronmf import _formats
from astronmf._inputs import any_of, parts, sigma_of
from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import as_mask, as_real_array, check_broadcast, check_shape, fail
from astronmf.exceptions import MissingDataWarning, warn
from astronmf.imaging.geometry import Geometry

__all__ = ["Frames"]


class Frames(NDData):
    """Images of one field, ``(n, y, x)``, and what is known about each.

    Parameters
    ----------
    data : (n, y, x) or (y, x) array, Quantity, masked array, NDData, CCDData or Frames
        A single image becomes a stack of one. NaN and Inf become masked, with a warning that counts those that no
        mask had declared.
    uncertainty : array, Quantity or NDUncertainty, optional
        1σ, of a shape that broadcasts to the data's. 0, negative, NaN or Inf masks the pixel, with a warning.
    mask : bool array, optional
        `True` = excluded; of a shape that broadcasts to the data's.
    angles : (n,) array, optional
        Position angle of each frame's +y axis, degrees east of north; see `Geometry`.
    center : (x, y), optional
        The star, 0-based pixels. Frames of odd size are taken to be centred on it; for even sizes it must be given.
    pixel_scale : float, optional
        Arcseconds a pixel.
    parity : {1, -1}, optional
        -1 for mirror images of the sky; 1 by default.
    geometry : Geometry, optional
        Instead of the four above.
    unit : astropy unit or str, optional
        Of the data, if they do not carry one.
    names : sequence of str, optional
        Of the frames; ``frame 0``, … by default.
    is_reference : (n,) bool array, optional
        Which frames are of reference stars.
    meta : dict, optional
        Anything else; file headers and hashes end here.

    Raises
    ------
    ValueError
        If shapes disagree, an angle is not finite, or a centre is missing or outside.

    Notes
    -----
    An `~astropy.nddata.NDData`: ``data``, ``uncertainty`` (a `StdDevUncertainty` or `None`), ``mask`` (always a full
    boolean array), ``unit`` and ``meta`` are as there.
    """

    geometry: Geometry
    names: list[str]
    is_reference: BoolArray

    def __init__(
        self,
        data: Any,
        uncertainty: Any = None,
        mask: Any = None,
        *,
        angles: Any = None,
        center: tuple[float, float] | None = None,
        pixel_scale: float | None = None,
        parity: int | None = None,
        geometry: Geometry | None = None,
        unit: Any = None,
        names: Sequence[str] | None = None,
        is_reference: Any = None,
        meta: dict[str, Any] | None = None,
    ) -> None:
        if isinstance(data, Frames):
            geometry = data.geometry.with_parts(center, pixel_scale, angles, parity) if geometry is None else geometry
            names = data.names if names is None else names
            is_reference = data.is_reference if is_reference is None else is_reference
        if isinstance(data, NDData):
            uncertainty = data.uncertainty if uncertainty is None else uncertainty
            mask = any_of(data.mask, mask)
            meta = dict(data.meta) if meta is None else meta
            data = data.data if data.unit is None else u.Quantity(data.data, data.unit, copy=False)
        values, own_mask, own = parts(data)
        unit = own if unit is None else u.Unit(unit)
        mask = any_of(own_mask, mask)
        cube = _as_cube(values if own is None or own == unit else u.Quantity(values, own).to_value(unit))
        sigma = _as_sigma(uncertainty, own, unit, cube.shape)
        super().__init__(
            cube,
            uncertainty=None if sigma is None else StdDevUncertainty(sigma),
            mask=_full_mask(cube, sigma, mask, _origin(meta)),
            unit=unit,
            meta=meta or {},
        )
        if geometry is None:
            known = {"pixel_scale": pixel_scale, "angles": angles, "parity": parity or 1}
            geometry = Geometry.of_shape(cube.shape[1:], center, **known)
        if geometry.angles is not None:
            check_shape("angles", geometry.angles, (len(cube),))
        self.geometry = geometry
        self.names = [f"frame {i}" for i in range(len(cube))] if names is None else [str(name) for name in names]
        reference = np.zeros(len(cube), bool) if is_reference is None else as_mask("is_reference", is_reference)
        self.is_reference = np.array(check_broadcast("is_reference", reference, (len(cube),)))
        check_shape("names", np.asarray(self.names), (len(cube),))

    @classmethod
    def of(cls, content: Any) -> Frames:
        """Return frames as they are, and anything else that the constructor takes as frames."""
        return content if isinstance(content, Frames) else cls(content)

    @property
    def angles(self) -> FloatArray | None:
        """Position angle of each frame's +y axis, degrees east of north: (n,), or `None`."""
        return self.geometry.angles

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames, and their (y, x) size."""
        n, y, x = self.data.shape
        return n, y, x

    def __len__(self) -> int:
        """Return the number of frames."""
        return self.shape[0]

    def __repr__(self) -> str:
        """Return a line that says what is inside."""
        n, y, x = self.shape
        unit = "no unit" if self.unit is None else str(self.unit)
        return f"<Frames: {n} of {y} x {x} pixels, {unit}, {float(self.mask.mean()):.2%} masked>"

    __str__ = __repr__

    def __getitem__(self, index: Any) -> Frames:
        """Return some of the frames; one index gives a stack of one."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return Frames(
            self.data[chosen],
            None if self.sigma is None else self.sigma[chosen],
            self.mask[chosen],
            geometry=self.geometry.select(chosen),
            unit=self.unit,
            names=[self.names[i] for i in chosen],
            is_reference=self.is_reference[chosen],
            meta=self.meta,
        )

    @property
    def sigma(self) -> FloatArray | None:
        """1σ errors as a plain array, (n, y, x), or `None`."""
        return None if self.uncertainty is None else self.uncertainty.array

    def weights(self) -> FloatArray:
        """Return ``1/σ²``, or ones without errors; 0 where masked: (n, y, x) float64."""
        weights = np.zeros(self.shape)
        sigma = np.ones((1, 1, 1)) if self.sigma is None else self.sigma
        np.divide(1.0, np.square(sigma, dtype=np.float64), out=weights, where=~self.mask)
        return weights

    def split(self) -> tuple[Frames | None, Frames | None]:
        """Return the science frames and the reference frames, by `is_reference`; `None` where there are none."""
        science, references = np.flatnonzero(~self.is_reference), np.flatnonzero(self.is_reference)
        return (self[science] if science.size else None, self[references] if references.size else None)

    @classmethod
    def concatenate(cls, stacks: Iterable[Frames]) -> Frames:
        """Return all frames of several stacks in one.

        Raises
        ------
        ValueError
            If their shapes, units, centres or pixel scales disagree, or only some have errors or angles.
        """
        stack = list(stacks)
        if not stack:
            raise fail("stacks", "at least one stack of frames", "none")
        first = stack[0]
        for part in stack[1:]:
            check_same_grid(first, part, "frames")
            for what, one, other in (
                ("uncertainty", first.sigma, part.sigma),
                ("angles", first.angles, part.angles),
            ):
                if (one is None) != (other is None):
                    raise fail(what, "given for all frames or for none", f"a mix in {part.names[0]}")
        scale = first.geometry.pixel_scale
        angles = None if first.angles is None else np.concatenate([part.angles for part in stack])
        sigma = None if first.sigma is None else np.concatenate([part.sigma for part in stack])
        return cls(
            np.concatenate([part.data for part in stack]),
            sigma,
            np.concatenate([part.mask for part in stack]),
            geometry=replace(first.geometry, angles=angles, pixel_scale=scale),
            unit=first.unit,
            names=[name for part in stack for name in part.names],
            is_reference=np.concatenate([part.is_reference for part in stack]),
            meta=merge_meta([part.meta for part in stack]),
        )

    @classmethod
    def read(cls, path: Any, *, format: str | None = None, **options: Any) -> Frames:  # noqa: A002
        """Read frames from one file or several.

        Parameters
        ----------
        path : path, or sequence of paths
            Several files end in one stack.
        format : str, optional
            "fits" (any FITS cube, or SCI/ERR/DQ extensions), an instrument's ("jwst", "hst", "naco", "sphere"), or
            "mapping"; found from the file by default.
        **options
            Of the format: ``center``, ``angles``, ``angle_key``, ``angle_column``, ``pixel_scale``, ``dq_bits``, …;
            ``mapping="instrument.toml"`` for instruments that have no reader.
        """
        found: Frames = _formats.read_stack(cls, path, format, options)
        return found

    def write(self, path: Any, *, format: str = "fits", **options: Any) -> None:  # noqa: A002
        """Write SCI, ERR, DQ and a table of the frames.

        Parameters
        ----------
        path
        **options
            ``overwrite=True`` replaces a file that is there.
        """
        _formats.write(self, path, format, **options)

    def replace_data(self, data: Any) -> Self:
        """Return the same frames with other values, (n, y, x): for injections and simulations."""
        plain, _, unit = parts(data)
        if unit is not None:
            plain = u.Quantity(plain, unit).to_value(self.unit)
        values = as_real_array("data", plain)
        check_shape("data", values, self.shape)
        return type(self)(
            values,
            self.sigma,
            self.mask,
            geometry=self.geometry,
            unit=self.unit,
            names=self.names,
            is_reference=self.is_reference,
            meta=self.meta,
        )


def check_same_grid(one: Frames, other: Frames, name: str) -> None:
    """Raise unless two stacks have the same frame size, unit and star position."""
    check_shape(name, other.data, (None, *one.shape[1:]))
    if one.unit != other.unit:
        raise fail(name, f"in the unit of the others, {one.unit}", other.unit)
    if not np.allclose(one.geometry.center, other.geometry.center, atol=0.05):
        found = f"{other.geometry.center}; align the frames first, or give 'center'"
        raise fail(name, f"centred on the star like the others, at (x, y) = {one.geometry.center}", found)
    here, there = one.geometry.pixel_scale, other.geometry.pixel_scale
    if here is not None and there is not None and not np.isclose(here, there, rtol=1e-3):
        raise fail(name, f"of the pixel scale of the others, {here:g} arcsec", f"{there:g} arcsec")
    if one.geometry.parity != other.geometry.parity:
        raise fail(name, f"of parity {one.geometry.parity} like the others", other.geometry.parity)


def merge_meta(metas: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one meta of several stacks: lists are joined (preparation in order), the rest is the first's."""
    merged: dict[str, Any] = {}
    for meta in metas:
        for key, value in meta.items():
            if isinstance(value, list) and isinstance(merged.get(key), list):
                others = [item for item in value if item not in merged[key]]
                merged[key] = _in_order(merged[key], value) if key == "preparation" else merged[key] + others
            else:
                merged.setdefault(key, list(value) if isinstance(value, list) else value)
    return merged


def _in_order(one: list[Any], other: list[Any]) -> list[Any]:
    """Return a list that holds both, each in its order, what they share only once: steps that were taken."""
    joined, begin = list(one), 0
    for item in other:
        begin = joined.index(item, begin) + 1 if item in joined[begin:] else len(joined) + 1
        if begin > len(joined):
            joined.append(item)
    return joined


def _as_cube(data: Any) -> FloatArray:
    """Return an (n, y, x) float array in native byte order."""
    values = as_real_array("data", data)
    if values.dtype.kind != "f" or values.dtype.itemsize < 4:
        values = values.astype(np.float64)
    cube = values[None] if values.ndim == 2 else values
    check_shape("data", cube, (None, None, None))
    if cube.size == 0:
        raise fail("data", "of at least one frame and one pixel", f"shape {cube.shape}")
    return cube


def _as_sigma(
    uncertainty: Any, own: u.UnitBase | None, unit: u.UnitBase | None, shape: tuple[int, ...]
) -> FloatArray | None:
    """Return 1σ errors, (n, y, x), in `unit`; without a unit they are in the data's `own`."""
    if uncertainty is None:
        return None
    values, mask, given = parts(sigma_of(uncertainty))
    given = own if given is None else given
    if given is not None and unit is None:
        raise fail("uncertainty", "without a unit, as the data are", given)
    sigma = as_real_array("uncertainty", values if given is None else u.Quantity(values, given).to_value(unit))
    if mask is not None:
        sigma = np.where(mask, np.nan, sigma)
    sigma = sigma[None] if sigma.ndim == 2 else sigma
    return check_broadcast("uncertainty", sigma, shape)


def _origin(meta: dict[str, Any] | None) -> str:
    """Return the file that frames come from, to begin a message with, or nothing."""
    inputs = (meta or {}).get("inputs", [])
    return f"{inputs[0]['name']}: " if len(inputs) == 1 else ""


def _full_mask(cube: FloatArray, sigma: FloatArray | None, mask: Any, origin: str) -> BoolArray:
    """Return the union of the given mask and all that is not a number; warn of what the mask did not say."""
    full = np.zeros(cube.shape, dtype=bool)
    if mask is not None:
        full |= check_broadcast("mask", as_mask("mask", mask), cube.shape)
    unsaid = [("data", ~np.isfinite(cube) & ~full)]
    if sigma is not None:
        unsaid.append(("uncertainty", ~(np.isfinite(sigma) & (sigma > 0)) & ~full))
    for name, wrong in unsaid:
        if wrong.any():
            kind = "NaN or Inf" if name == "data" else "0, negative, NaN or Inf"
            msg = (
                f"{origin}{int(wrong.sum())} values of '{name}' are {kind} and not masked: they are treated as missing"
            )
            warn(msg, MissingDataWarning)
        full |= wrong
    return full
