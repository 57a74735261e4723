"""A small observation with a ring and a planet in it, for the tests of files, figures and commands of modelling."""

from functools import cache

from detection_helpers import HOW, POINT, SIZE, observed

from astronmf.imaging import Frames, Reduction, reduce
from astronmf.imaging.modelling.rings import Ring
from astronmf.imaging.modelling.sources import PointSource

RING = Ring(9.0, 50.0, 30.0, inner_width=1.5, g=0.2)
PLANET = PointSource(12.0, 250.0)
SOURCES = {"disk": RING, "planet": PLANET}
FLUXES = (4000.0, 300.0)

MODEL = """
[disk]
model = "ring"
radius = 9.0
inclination = 50.0
position_angle = 30.0
inner_width = 1.5
g = 0.2

[planet]
model = "point"
separation = 12.0
position_angle = 250.0
"""
FREE = MODEL.replace("[planet]", "[disk.free]\nradius = [8.0, 10.0]\n\n[planet]")


def with_sources(frames: Frames, reduction: Reduction) -> Frames:
    """Return frames with ring and planet."""
    observer = reduction.observer(psf=POINT)
    light = sum(flux * one.frames(observer) for flux, one in zip(FLUXES, SOURCES.values(), strict=True))
    return frames.replace_data(frames.data + light)


@cache
def modelled(mode: str = "rdi", **how: object) -> Reduction:
    """Return a reduction of frames with a ring and a planet, not to be changed."""
    observation = observed()
    references = None if mode == "adi" else observation.reference_frames()
    plain = reduce(observation.science_frames(), observation.reference_frames(), **HOW)
    frames = with_sources(observation.science_frames(), plain)
    return reduce(frames, references, mode=mode, **(HOW | how))


def image_of_ring(flux: float = FLUXES[0]):
    """Return the ring, north up and convolved, on the pixels of the combined image."""
    from scipy.ndimage import convolve

    kernel = POINT.data / POINT.data.sum()
    return flux * convolve(RING.image((SIZE, SIZE)), kernel, mode="constant")
