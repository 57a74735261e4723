"""The embedded observation: simulated, small, and of known truth. ``data/README.md`` says how it was made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import check_choice
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import from_sky
from astronmf.imaging.reduction import Reduction
from astronmf.io.files import open_fits

__all__ = ["SimulatedObservation", "load_simulated", "simulated_path"]

FILES = ("science", "references", "truth")
BRIGHT = 0.1


@dataclass(frozen=True)
class SimulatedObservation:
    """Two rolls of a star with a disk and a planet, frames of other stars, and what is really there.

    Attributes
    ----------
    science, references : Frames
    disk, planet : (y, x) arrays
        Noise-free, convolved, north up, star at the centre pixel, in the frames' unit.
    psf : (y, x) array
        Off-axis, of unit sum.
    truth : dict
        ``DISKFLUX``, ``PLFLUX``, ``PLSEP``, ``PLPA``, … as in the truth file's header; lengths in pixels.
    pixels_per_resolution_element : float
        λ/D in pixels.
    """

    science: Frames
    references: Frames
    disk: FloatArray
    planet: FloatArray
    psf: FloatArray
    truth: dict[str, Any]
    pixels_per_resolution_element: float

    def source_region(self, fraction: float = 0.01) -> BoolArray:
        """Return where disk or planet are brighter than a fraction of their peak: (y, x) bool, north up."""
        return np.asarray((self.disk > fraction * self.disk.max()) | (self.planet > fraction * self.planet.max()))

    def flux_fraction(self, image: FloatArray) -> float:
        """Return a north-up image's flux over the disk's, where the disk is above 10 % of its peak."""
        bright = (self.disk > BRIGHT * self.disk.max()) & np.isfinite(image)
        return float(image[bright].sum() / self.disk[bright].sum())

    def noise_ratio(self, result: Reduction) -> float:
        """Return the scatter of the frames' residuals over their errors, away from disk and planet."""
        region = self.source_region().astype(float)
        geometry = result.science.geometry
        near = np.stack([from_sky(region, geometry, i, order=1) > 0 for i in range(len(result.science))])
        away = np.isfinite(result.residuals) & ~near
        return float(np.std((result.residuals * np.sqrt(result.science.weights()))[away]))


def simulated_path(name: str) -> Path:
    """Return the path of an embedded file: "science", "references" or "truth"."""
    file = f"simulated_{check_choice('name', name, FILES)}.fits"
    package = Path(__file__).parent
    for folder in (package / "data", package.parent / "data"):  # installed, or in a checkout
        if (folder / file).is_file():
            return folder / file
    msg = f"{file} is not installed with this copy of astronmf"
    raise FileNotFoundError(msg)


def load_simulated() -> SimulatedObservation:
    """Read the embedded observation."""
    hdus = open_fits(simulated_path("truth"))
    header = hdus[0].header
    return SimulatedObservation(
        science=Frames.read(simulated_path("science")),
        references=Frames.read(simulated_path("references")),
        disk=hdus["DISK"].data.astype(np.float64),
        planet=hdus["PLANET"].data.astype(np.float64),
        psf=hdus["PSF"].data.astype(np.float64),
        truth={key: header[key] for key in header if key and key not in ("COMMENT", "HISTORY")},
        pixels_per_resolution_element=float(header["LAMD"]),
    )
