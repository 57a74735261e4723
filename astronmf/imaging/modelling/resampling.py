"""From an image's own pixels to the detector's, in one interpolation.

The value at any place is a sum over 4 × 4 coefficients of a cubic B-spline. With the weights of those as the rows of a
sparse matrix, a rotation that is needed many times is a product of that matrix with the coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage, sparse

from astronmf._typing import BoolArray, FloatArray, IntArray
from astronmf._validation import check_number, check_shape
from astronmf.imaging.geometry import COVERAGE, Geometry, center_pixel, sky_to_detector

__all__ = ["Grid", "Sampling"]

SPLINE_ORDER = 3
BYTES_PER_WEIGHT = 12
TAPS = 4  # coefficients along each axis that a cubic spline's value comes from


@dataclass(frozen=True)
class Grid:
    """The pixels of an image that is north up.

    Attributes
    ----------
    shape : (y, x)
    center : (x, y)
        The star, 0-based pixels.
    ratio : float
        The width of a pixel in pixels of the detector.
    averaged : bool
        Whether a detector's pixel is the mean over its area, or the value at its middle.
    """

    shape: tuple[int, int]
    center: tuple[float, float]
    ratio: float
    averaged: bool = True

    @classmethod
    def of(cls, shape: tuple[int, int], center: Any, ratio: float) -> Grid:
        """Return the grid; without a `center`, the star is at ``n // 2`` along each axis."""
        if center is None:
            x, y = center_pixel(shape)
            return cls(shape, (float(x), float(y)), ratio)
        check_shape("center", np.asarray(center), (2,))
        x, y = center
        return cls(shape, (check_number("center", x), check_number("center", y)), ratio)

    @property
    def samples(self) -> int:
        """At how many places along each axis a detector's pixel is evaluated."""
        return max(1, int(np.ceil(1 / self.ratio - 1e-9))) if self.averaged else 1

    def coefficients(self, image: FloatArray) -> FloatArray:
        """Return the coefficients of the spline through an image: (y, x)."""
        return np.asarray(ndimage.spline_filter(image, SPLINE_ORDER, mode="mirror"))

    def reach(self, image: FloatArray) -> float:
        """Return how far from the star, in pixels of the detector, the outermost light is."""
        rows, columns = np.nonzero(image)
        if len(rows) == 0:
            return 0.0
        return self.ratio * float(np.hypot(columns - self.center[0], rows - self.center[1]).max())

    def outside_edge(self) -> FloatArray:
        """Return (y, x) of the pixels next to the edge, outside: (2, 2 n_x + 2 n_y), first and last row and column."""
        y, x = (np.arange(float(length)) for length in self.shape)
        rows = np.concatenate([np.full(x.size, -1.0), np.full(x.size, y.size), y, y])
        columns = np.concatenate([x, x, np.full(y.size, -1.0), np.full(y.size, x.size)])
        return np.stack([rows, columns])


@dataclass(frozen=True, eq=False)
class Sampling:
    """How a frame of one orientation comes from the coefficients of an image's spline.

    Attributes
    ----------
    grid : Grid
        Of the image.
    geometry : Geometry
        Of the frame.
    shape : (y, x)
        Of the frame.
    angles : tuple of float
        The frame's angle, degrees, at moments of equal length during the exposure.
    as_matrix : bool
        Whether the interpolation is done by a matrix.
    """

    grid: Grid
    geometry: Geometry
    shape: tuple[int, int]
    angles: tuple[float, ...]
    as_matrix: bool = False

    @property
    def expected_size(self) -> int:
        """Bytes that the matrix will take, at most but for a long sweep of the sky."""
        width = TAPS - 1 + self.grid.samples
        return self.shape[0] * self.shape[1] * width**2 * len(self.angles) * BYTES_PER_WEIGHT

    @property
    def size(self) -> int:
        """Bytes that the matrix takes."""
        if self.whole_pixels is not None:
            return 0
        return int(self._matrix.data.nbytes + self._matrix.indices.nbytes + self._matrix.indptr.nbytes)

    def sample(self, image: FloatArray, coefficients: FloatArray) -> FloatArray:
        """Return the frame, (y, x), from an image and the coefficients of its spline."""
        if self.whole_pixels is not None:
            return self._moved(image, self.whole_pixels)
        if self.as_matrix:
            return np.asarray((self._matrix @ coefficients.ravel()).reshape(self.shape))
        out, count = np.zeros(self.shape), 0
        for places in self._places():
            values = ndimage.map_coordinates(coefficients, places, order=SPLINE_ORDER, mode="mirror", prefilter=False)
            out += np.where(_is_covered(places, self.grid.shape), values, 0.0)
            count += 1
        return out / count

    @cached_property
    def edge_inside(self) -> BoolArray:
        """Whether the frame goes on beyond each pixel of the image's edge, in the order of `Grid.outside_edge`."""
        places = self.grid.outside_edge()
        x, y = self.grid.center
        sky = (places - np.array([[y], [x]])) * self.grid.ratio
        inside = np.zeros(places.shape[1], dtype=bool)
        for angle in self.angles:
            columns, rows = self.geometry.center
            at = sky_to_detector(angle, self.geometry.parity) @ sky + np.array([[rows], [columns]])
            inside |= (at >= 0).all(axis=0) & (at[0] <= self.shape[0] - 1) & (at[1] <= self.shape[1] - 1)
        return inside

    @cached_property
    def whole_pixels(self) -> tuple[int, int] | None:
        """By how many (rows, columns) the frame's pixels differ from the image's, where nothing is to interpolate."""
        matrix = sky_to_detector(self.angles[0], self.geometry.parity)
        offset = np.subtract(self.grid.center, self.geometry.center)
        if self.grid.ratio != 1 or len(self.angles) > 1 or not np.array_equal(matrix, np.eye(2)):
            return None
        return (int(offset[1]), int(offset[0])) if np.array_equal(offset, np.rint(offset)) else None

    def _moved(self, image: FloatArray, offset: tuple[int, int]) -> FloatArray:
        """Return the frame, (y, x), by moving an image by whole pixels."""
        out, into, taken = np.zeros(self.shape), [], []
        for move, length, size in zip(offset, self.shape, image.shape, strict=True):
            first, end = max(0, -move), min(length, size - move)
            into.append(slice(first, max(first, end)))
            taken.append(slice(first + move, max(first, end) + move))
        out[tuple(into)] = image[tuple(taken)]
        return out

    @cached_property
    def _matrix(self) -> sparse.csr_array:
        """The weights of the coefficients: (pixels of the frame, pixels of the image)."""
        total, count = sparse.csr_array((self.shape[0] * self.shape[1], self.grid.shape[0] * self.grid.shape[1])), 0
        for places in self._places():
            total = total + _weights(places.reshape(2, -1), self.grid.shape)
            count += 1
        return sparse.csr_array(total / count)

    def _places(self) -> Iterator[FloatArray]:
        """Yield (y, x) on the image of the frame's pixels, (2, y, x), at each moment and each place in a pixel."""
        offsets = (np.arange(self.grid.samples) + 0.5) / self.grid.samples - 0.5
        star, columns, rows = np.array(self.grid.center[::-1]), np.arange(self.shape[1]), np.arange(self.shape[0])
        for angle in self.angles:
            matrix = np.linalg.inv(sky_to_detector(angle, self.geometry.parity)) / self.grid.ratio
            for down in offsets:
                for across in offsets:
                    y = (rows + down - self.geometry.center[1])[:, None]
                    x = (columns + across - self.geometry.center[0])[None, :]
                    yield np.stack([matrix[axis, 0] * y + matrix[axis, 1] * x + star[axis] for axis in (0, 1)])


def _is_covered(places: FloatArray, shape: tuple[int, int]) -> BoolArray:
    """Return which places are on an image, to within half a pixel's area of its edge."""
    covered = np.ones(places.shape[1:])
    for at, length in zip(places, shape, strict=True):
        beyond = np.maximum(-at, at - (length - 1))
        covered *= np.clip(1.0 - beyond, 0.0, 1.0)
    return np.asarray(covered >= COVERAGE - 1e-9)


def _weights(places: FloatArray, shape: tuple[int, int]) -> sparse.csr_array:
    """Return the weights of a spline's coefficients at (2, p) places: (p, pixels of the image)."""
    inside = np.flatnonzero(_is_covered(places, shape))
    (row_index, row_weight), (index, weight) = (
        _along(at[inside], length) for at, length in zip(places, shape, strict=True)
    )
    columns = (row_index[:, :, None] * shape[1] + index[:, None, :]).reshape(len(inside), -1)
    values = (row_weight[:, :, None] * weight[:, None, :]).reshape(len(inside), -1)
    ends = np.zeros(places.shape[1] + 1, dtype=np.int64)
    ends[inside + 1] = TAPS**2
    kind = np.int32 if max(shape[0] * shape[1], values.size) < np.iinfo(np.int32).max else np.int64
    parts = values.ravel(), columns.ravel().astype(kind), np.cumsum(ends).astype(kind)
    return sparse.csr_array(parts, shape=(places.shape[1], shape[0] * shape[1]))


def _along(at: FloatArray, length: int) -> tuple[IntArray, FloatArray]:
    """Return the coefficients along one axis that a place's value comes from, and their weights: (p, 4) each."""
    first = np.floor(at).astype(np.int64)
    t = at - first
    weights = np.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 4 - 6 * (1 - t) ** 2 + 3 * (1 - t) ** 3, t**3], axis=-1)
    index = np.abs(first[:, None] + np.arange(-1, TAPS - 1))
    period = max(2 * (length - 1), 1)
    index %= period
    return np.minimum(index, period - index) if length > 1 else np.zeros_like(index), weights / 6
