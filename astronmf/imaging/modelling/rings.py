"""Disks as brightness on the sky: a scattering ring at any inclination, and a disk seen edge-on."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import check_number, fail
from astronmf.imaging.modelling.brightness import BrightnessModel, places
from astronmf.kernels.edge_on import EdgeOnShape, edge_on_disk
from astronmf.kernels.ring import RingShape, flat_ring, ring_total, thick_ring

__all__ = ["EdgeOnDisk", "Ring"]

SMALLEST = np.nextafter(0, 1)

#: Degrees from edge-on within which a ring without thickness has no picture that pixels could show.
TOO_STEEP = 5.0
MOST_ASYMMETRIC = 0.99  # of Henyey and Greenstein's g
LARGEST_OFFSET = 0.9  # of the radius
LOWEST_ALIASED = 0.7  # cycles a pixel: what is below is aliased to where a PSF lets little pass

# The quadrature of a ring's total: nodes over as many standard deviations on each side of the ridge, azimuths so that
# the last harmonic that counts is exp(−DIGITS), and nodes across the plane.
REACH = 7.4
RADIAL = np.polynomial.legendre.leggauss(24)
VERTICAL = np.polynomial.hermite_e.hermegauss(12)
FLAT = np.array([[0.0], [1.0]])
DIGITS = 16.0
FEWEST_AZIMUTHS = 32


@dataclass(frozen=True)
class Ring(BrightnessModel):
    """An optically thin ring of dust that scatters the star's light.

    The density falls off from the ridge, a circle, as a Gaussian of one width inwards and another outwards, and from
    the plane as a Gaussian of constant `height`. Scattering is that of Henyey & Greenstein (1941), the angle as seen
    from the star. The light that reaches the dust falls with the square of the distance d from the star to the ridge at
    the same azimuth: a ring whose centre is not the star is brighter at its pericentre, and one that is centred and
    face-on has the Gaussian itself as its brightness. With r and z cylindrical coordinates about the ring's centre and
    θ the scattering angle, the brightness at a place on the sky is proportional to

        ∫ exp(−(r − R)² / 2σ²) exp(−z² / 2h²) / (√(2π) h) · (R / d)² · (1 − g²) / (4π (1 + g² − 2 g cos θ)^(3/2)) dl

    along the line of sight, and for a flat ring to the same without the integral and the term in z, over ``|cos i|``.

    Parameters
    ----------
    radius : float or Quantity
        Of the ridge, R. This and all lengths are in detector pixels (Quantities of pixels are taken as well); see
        `from_arcsec` for angles.
    inclination : float or Quantity
        i, degrees in [0, 180]: 0 is face-on, 90 edge-on, and beyond it the near side is on the other side.
    position_angle : float or Quantity
        Of the major axis, degrees east of north. The near side, which forward scattering (g > 0) makes the brighter
        one, is at ``position_angle + 90`` for inclinations below 90, and at ``position_angle − 90`` above.
    inner_width, outer_width : float or Quantity
        Standard deviations σ of the density inside and outside the ridge; `outer_width` is `inner_width` by default.
    g : float
        Henyey and Greenstein's asymmetry, in [−0.99, 0.99]: 0 scatters evenly, above it forwards.
    offset_along, offset_across : float or Quantity
        Of the ring's centre from the star, in the ring's plane: along the major axis towards `position_angle`, and
        across it towards the near side. Together at most 0.9 of the radius.
    height : float or Quantity
        Standard deviation h of the density perpendicular to the plane. 0 is flat, which is quicker; above it the line
        of sight is integrated, to 1e-3 of the peak, at any inclination.
    flux : float
        Total over the sky, in the frames' unit times detector pixels.

    Raises
    ------
    ValueError
        If a number is out of its range, or a flat ring is within 5° of edge-on.
    """

    LENGTHS: ClassVar = ("radius", "inner_width", "outer_width", "offset_along", "offset_across", "height")
    DIRECTIONS: ClassVar = ("inclination", "position_angle")

    radius: float
    inclination: float
    position_angle: float
    _: KW_ONLY
    inner_width: float
    outer_width: float | None = None
    g: float = 0.0
    offset_along: float = 0.0
    offset_across: float = 0.0
    height: float = 0.0
    flux: float = 1.0

    def __post_init__(self) -> None:
        """Check every parameter."""
        self._settle()
        for name in ("radius", "inner_width", "outer_width"):
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), SMALLEST)
        check_number("inclination", self.inclination, 0.0, 180.0)
        check_number("g", self.g, -MOST_ASYMMETRIC, MOST_ASYMMETRIC)
        check_number("height", self.height, 0.0)
        offset = float(np.hypot(self.offset_along, self.offset_across))
        if offset > LARGEST_OFFSET * self.radius:
            bounds = f"such that the centre is at most {LARGEST_OFFSET} of radius={self.radius:g} from the star"
            raise fail("offset_along", bounds, f"one of {offset:g}")
        if self.height == 0 and abs(self.inclination - 90) < TOO_STEEP:
            advice = f"at least {TOO_STEEP:g} degrees from 90 for a flat ring"
            raise fail("inclination", advice, f"{self.inclination:g}; give a 'height' above 0")

    def brightness(self, east: Any, north: Any) -> FloatArray:
        """Return the brightness at places on the sky.

        Parameters
        ----------
        east, north : float or array
            From the star, detector pixels; of shapes that broadcast.

        Returns
        -------
        array
            float64, per detector pixel. Flat rings are 0 where the density is below 1e-12 of the ridge's.
        """
        first, second, shape = places(east, north)
        out = np.empty(first.size)
        draw = thick_ring if self.height > 0 else flat_ring
        draw(first, second, self._shape, self.flux / self._total, out)
        return out.reshape(shape)

    @property
    def narrowest(self) -> float:
        """The standard deviation of the ring's narrowest part in the picture, where the minor axis meets it; pixels."""
        width = min(self.inner_width, self._outer_width)
        tilted = float(np.hypot(width * self._shape.cosine, self.height * self._shape.sine))
        return min(width, tilted)

    @property
    def bend(self) -> float:
        """How the ridge bends where the inner width is another than the outer one, see `BrightnessModel.bend`."""
        cosine = max(abs(self._shape.cosine), 1e-3)
        blur = np.exp(-0.5 * (2 * np.pi * LOWEST_ALIASED * self.height * self._shape.sine) ** 2)
        return max(self._bend(1.0), float(blur) * self._bend(cosine))

    def _bend(self, shortened: float) -> float:
        """Return the jump for widths so much shortened, over the share of the peak that a PSF leaves."""
        inner, outer = shortened * self.inner_width, shortened * self._outer_width
        return abs(inner**-2 - outer**-2) / min(1.0, 0.5 * (inner + outer))

    @property
    def _outer_width(self) -> float:
        return self.inner_width if self.outer_width is None else self.outer_width

    @cached_property
    def _shape(self) -> RingShape:
        """What the kernels know of the ring."""
        tilt, turn = np.deg2rad(self.inclination), np.deg2rad(self.position_angle)
        return RingShape(
            self.radius,
            self.inner_width,
            self._outer_width,
            self.height,
            float(np.cos(tilt)),
            float(np.sin(tilt)),
            self.g,
            self.offset_along,
            self.offset_across,
            float(np.cos(turn)),
            float(np.sin(turn)),
        )

    @cached_property
    def _total(self) -> float:
        """The ring's light for a factor of 1."""
        inside = _side(self.radius, -self.inner_width, min(REACH, self.radius / self.inner_width))
        outside = _side(self.radius, self._outer_width, REACH)
        decay = max(abs(self.g), float(np.hypot(self.offset_along, self.offset_across)) / self.radius)
        azimuths = max(FEWEST_AZIMUTHS, int(np.ceil(DIGITS / -np.log(decay)))) if decay > 0 else FEWEST_AZIMUTHS
        return ring_total(self._shape, np.concatenate([inside, outside], axis=1), azimuths, self._vertical)

    @property
    def _vertical(self) -> FloatArray:
        """Distances from the plane at which the light is summed, and their weights."""
        if self.height == 0:
            return FLAT
        nodes, weights = VERTICAL
        return np.stack([nodes * self.height, weights / weights.sum()])


def _side(radius: float, width: float, reach: float) -> FloatArray:
    """Return radii on one side of the ridge and the weights of each, the Gaussian's among them: (2, q)."""
    nodes, weights = RADIAL
    steps = 0.5 * reach * (nodes + 1)
    return np.stack([radius + width * steps, 0.5 * reach * abs(width) * weights * np.exp(-0.5 * steps**2)])


@dataclass(frozen=True)
class EdgeOnDisk(BrightnessModel):
    """A disk that is seen edge-on, by its brightness: a power law with a break along a straight midplane.

    It says what the picture is, not where the dust is; that is how disks such as those of AU Mic and beta Pic are
    described. With s the distance from the star along the midplane, v that from the midplane, b the break,
    ``x = √(s² + core²) / √(b² + core²)``, slopes p (inner) and q (outer) and sharpness n,

        B = flux_at_break · [½ (x^(−n p) + x^(−n q))]^(−1/n) · (1 + asymmetry · s / √(s² + core²)) · V(v)
        V = (1 + wings · v² / 2h²)^(−1 / wings)

    V is a Gaussian for ``wings=0`` (the limit), a Lorentzian for 1, and Moffat's profile between; its curvature at the
    midplane is that of a Gaussian of standard deviation h whatever the wings. Its full width at half maximum is
    ``2 h √(2 (2^wings − 1) / wings)``: 2.355 h for a Gaussian, 2.828 h for a Lorentzian.

    Parameters
    ----------
    position_angle : float or Quantity
        Of the midplane, degrees east of north.
    height : float or Quantity
        h, detector pixels, as are all lengths (Quantities of pixels are taken as well); see `from_arcsec` for angles.
    break_radius : float or Quantity
        Projected separation at which the power law bends.
    inner_slope, outer_slope : float
        Exponents of the brightness inside and outside the break; negative where it falls outwards, as it does for
        −1.8 and −4.2. The outer one is not above the inner one.
    core : float or Quantity
        Separation within which the brightness along the midplane is level, which a power law is not. Above 0.
    sharpness : float
        n, how suddenly it bends: the two laws are joined over a factor of about ``10^(2/n)`` in separation.
    offset : float or Quantity
        Of the midplane from the star, towards ``position_angle + 90``.
    wings : float
        In [0, 1.9]; from 2 on the light across the midplane has no finite sum.
    asymmetry : float
        In [−1, 1]: the side towards `position_angle` is brighter by that fraction, and the other fainter.
    flux_at_break : float
        The amplitude: the brightness on the midplane at the break, the mean of the two sides, per detector pixel and in
        the frames' unit. The total over the sky is not a parameter, because it depends on how near to the star and how
        far from it the disk is thought to go on.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    LENGTHS: ClassVar = ("height", "break_radius", "core", "offset")
    DIRECTIONS: ClassVar = ("position_angle",)

    position_angle: float
    _: KW_ONLY
    height: float
    break_radius: float
    inner_slope: float
    outer_slope: float
    core: float
    sharpness: float = 2.0
    offset: float = 0.0
    wings: float = 0.0
    asymmetry: float = 0.0
    flux_at_break: float = 1.0

    def __post_init__(self) -> None:
        """Check every parameter."""
        self._settle()
        for name in ("height", "break_radius", "core"):
            check_number(name, getattr(self, name), SMALLEST)
        check_number("sharpness", self.sharpness, 0.1, 100.0)
        check_number("wings", self.wings, 0.0, 1.9)
        check_number("asymmetry", self.asymmetry, -1.0, 1.0)
        if self.outer_slope > self.inner_slope:
            raise fail("outer_slope", f"at most inner_slope={self.inner_slope:g}", f"{self.outer_slope:g}")

    def brightness(self, east: Any, north: Any) -> FloatArray:
        """Return the brightness at places on the sky.

        Parameters
        ----------
        east, north : float or array
            From the star, detector pixels; of shapes that broadcast.

        Returns
        -------
        array
            float64, per detector pixel.
        """
        first, second, shape = places(east, north)
        out = np.empty(first.size)
        edge_on_disk(first, second, self._shape, self.flux_at_break, out)
        return out.reshape(shape)

    @property
    def narrowest(self) -> float:
        """The height, pixels: the standard deviation of the profile across the midplane."""
        return self.height

    @cached_property
    def _shape(self) -> EdgeOnShape:
        """What the kernel knows of the disk."""
        turn = np.deg2rad(self.position_angle)
        return EdgeOnShape(
            self.break_radius,
            self.inner_slope,
            self.outer_slope,
            self.sharpness,
            self.core,
            self.height,
            self.wings,
            self.offset,
            self.asymmetry,
            float(np.cos(turn)),
            float(np.sin(turn)),
        )
