"""Convolution with a PSF, whose transform is computed once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from astronmf._typing import FloatArray
from astronmf.core.parallel import thread_count
from astronmf.imaging.psf import PSF

__all__ = ["FEW", "Convolver"]

FEW = 100_000  # pixels: with fewer of them threads cost more than they gain


@dataclass(frozen=True, eq=False)
class Convolver:
    """A convolution with a PSF of unit sum; made by `Convolver.of`.

    Attributes
    ----------
    transform : complex array
        Of the PSF.
    shape : (y, x)
        Of the images.
    padded : (y, x)
        Of the transforms: what leaves an image at one side does not come in again at the other.
    """

    transform: NDArray[np.complexfloating]
    shape: tuple[int, int]
    padded: tuple[int, int]

    @classmethod
    def of(cls, psf: PSF, shape: tuple[int, int]) -> Convolver:
        """Return the convolution of images of a (y, x) shape with a PSF, star at its middle pixel."""
        stamp = psf.data / psf.flux
        halves = [min(size // 2, length - 1) for size, length in zip(stamp.shape, shape, strict=True)]
        middle = tuple(slice(size // 2 - h, size // 2 + h + 1) for size, h in zip(stamp.shape, halves, strict=True))
        y, x = (fft.next_fast_len(length + h, real=True) for length, h in zip(shape, halves, strict=True))
        placed = np.zeros((max(y, 2 * halves[0] + 1), max(x, 2 * halves[1] + 1)))
        stamp = stamp[middle]
        placed[: stamp.shape[0], : stamp.shape[1]] = stamp
        centred = np.roll(placed, (-halves[0], -halves[1]), axis=(0, 1))
        return cls(fft.rfft2(centred), shape, (placed.shape[0], placed.shape[1]))

    def convolved(self, images: FloatArray) -> FloatArray:
        """Return (m, y, x) images, convolved; light that leaves them is lost."""
        workers = 1 if images.size < FEW else min(thread_count(), len(images))
        transformed = fft.rfft2(images, self.padded, workers=workers)
        transformed *= self.transform
        back = fft.irfft2(transformed, self.padded, workers=workers, overwrite_x=True)
        return np.asarray(back[:, : self.shape[0], : self.shape[1]])
