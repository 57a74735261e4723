"""VIP's model of a disk in scattered light, as a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import astropy.units as u
import numpy as np

from astronmf._typing import FloatArray
from astronmf._validation import check_integer, check_number, fail
from astronmf.adapters._neighbour import needed
from astronmf.imaging.geometry import radius
from astronmf.imaging.modelling.brightness import check_parameter_names

__all__ = ["VIPDisk"]

MODULE = "vip_hci.fm.scattered_light_disk"
DENSITY = {"name": "2PowerLaws", "ain": 5, "aout": -5, "a": 40, "e": 0, "ksi0": 1.0, "gamma": 2.0, "beta": 1.0}
PHASE = {"name": "HG", "g": 0.0, "polar": False}

#: What VIP's class takes beside the two dictionaries, and what may be in these.
OWN = ("itilt", "omega", "pa", "xdo", "ydo", "flux_max")
DENSITY_KEYS = ("a", "ain", "aout", "e", "ksi0", "gamma", "beta", "amin", "dens_at_r0")
PHASE_KEYS = ("g", "weight", "phi", "spf", "kind", "polar", "polar_polynom_coeff")


@dataclass(frozen=True, eq=False)
class VIPDisk:
    """The disk of ``vip_hci.fm.scattered_light_disk.ScatteredLightDisk``, in VIP's own terms.

    A density of two power laws with a vertical profile (Augereau+ 1999, the GRaTeR model), lit by the star and seen
    through a scattering phase function. Drawn on the detector's pixels and convolved with the observer's PSF.

    VIP's conventions, as version 2.1.1 has them: lengths are au; `pa` is that of the major axis, degrees east of north;
    for ``0 < itilt < 90`` the near side is at ``pa − 90``, where `Ring` has it at ``position_angle + 90``. So the same
    ring is ``pa = position_angle + 180``, ``itilt = inclination``, ``xdo = −offset_along`` and ``ydo = offset_across``
    (times au a pixel). `a` is where the midplane's density bends, not where the picture is brightest. `gamma` is the
    exponent of the vertical profile: ``ksi0 = √2 height`` for a Gaussian. The density ends where it falls below 0.5 %
    of its peak, and 0 is drawn within a pixel of the star.

    Attributes
    ----------
    pixel_scale : float or Quantity
        Arcseconds a detector pixel.
    distance : float or Quantity
        Of the star, pc.
    itilt, pa, omega : float
        Inclination, position angle, and argument of the pericentre, degrees.
    xdo, ydo : float
        Offset of the disk in its own plane, au: along the major axis towards `pa`, and across it towards the near side.
    flux_max : float or None
        The brightest pixel before convolution; the default 1. `None`: as the density and VIP's units have it.
    density_dico, spf_dico : mapping
        VIP's dictionaries; what is left out is as in VIP's class.
    half_slices : int
        ``halfNbSlices`` of VIP: half the number of distances along the line of sight.

    Raises
    ------
    ModuleNotFoundError
        If VIP is not installed, when a picture is asked for.
    """

    pixel_scale: Any
    distance: Any
    itilt: float = 60.0
    pa: float = 0.0
    omega: float = 0.0
    xdo: float = 0.0
    ydo: float = 0.0
    flux_max: float | None = 1.0
    density_dico: Mapping[str, Any] = field(default_factory=dict)
    spf_dico: Mapping[str, Any] = field(default_factory=dict)
    half_slices: int = 25

    def __post_init__(self) -> None:
        """Check what VIP does not."""
        for name, unit in (("pixel_scale", u.arcsec), ("distance", u.pc)):
            value = getattr(self, name)
            value = value.to_value(unit) if isinstance(value, u.Quantity) else value
            object.__setattr__(self, name, check_number(name, value, np.nextafter(0, 1)))
        for name in OWN[:-1]:
            check_number(name, getattr(self, name))
        check_integer("half_slices", self.half_slices, 2)
        density, phase = ({"name": DENSITY["name"]}, {"name": PHASE["name"]})
        check_parameter_names(self.density_dico, (*density, *DENSITY_KEYS))
        check_parameter_names(self.spf_dico, (*phase, *PHASE_KEYS))
        object.__setattr__(self, "density_dico", DENSITY | dict(self.density_dico))
        object.__setattr__(
            self, "spf_dico", dict(self.spf_dico) if "name" in self.spf_dico else PHASE | dict(self.spf_dico)
        )

    def with_parameters(self, **changes: Any) -> VIPDisk:
        """Return the same disk with some parameters changed, by VIP's names (``itilt``, ``pa``, ``a``, ``g``).

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        check_parameter_names(changes, (*OWN, *DENSITY_KEYS, *PHASE_KEYS))
        density = {name: value for name, value in changes.items() if name in DENSITY_KEYS}
        phase = {name: value for name, value in changes.items() if name in PHASE_KEYS}
        rest = {name: value for name, value in changes.items() if name in OWN}
        density, phase = {**self.density_dico, **density}, {**self.spf_dico, **phase}
        return replace(self, density_dico=density, spf_dico=phase, **rest)

    def image(self, size: int) -> FloatArray:
        """Return VIP's picture, north up and east left, not convolved.

        Parameters
        ----------
        size : int
            Pixels along each side; odd, so that the star is at the middle pixel.

        Returns
        -------
        (size, size) array
            float64.

        Raises
        ------
        ValueError
            If a parameter is one that VIP would replace by another.
        """
        if check_integer("size", size, 1) % 2 == 0:
            raise fail("size", "odd, so that the star is at the middle pixel", size)
        disk = self._made(size)
        with np.errstate(divide="ignore", over="ignore"):  # a density is 0 where its power of the radius is infinite
            return np.array(disk.compute_scattered_light(halfNbSlices=self.half_slices), dtype=np.float64)

    def frames(self, observer: Any) -> FloatArray:
        """Return what the disk looks like in each frame, as the detector sees it: (n, y, x) float64.

        Raises
        ------
        ValueError
            If the frames have another pixel scale.
        """
        scale = observer.geometry.pixel_scale
        if scale is not None and not np.isclose(scale, self.pixel_scale, rtol=1e-6, atol=0):
            raise fail("pixel_scale", f"that of the frames, {scale:g}", f"{self.pixel_scale:g}")
        farthest = float(radius(observer.shape[1:], observer.geometry.center).max())
        outermost = self._made(1).dust_density.dust_distribution_calc.rmax / (self.pixel_scale * self.distance)
        half = int(np.ceil(min(farthest, outermost))) + 1
        return np.asarray(observer.image(self.image(2 * half + 1), convolved=observer.psf is None, name="VIPDisk"))

    def _made(self, size: int) -> Any:
        """Return VIP's object, or raise where it is not what was asked for."""
        disk = needed(MODULE, "VIPDisk").ScatteredLightDisk(
            nx=size,
            ny=size,
            distance=self.distance,
            pxInArcsec=self.pixel_scale,
            **{name: getattr(self, name) for name in OWN},
            density_dico=dict(self.density_dico),
            spf_dico=dict(self.spf_dico),
        )
        density, phase = disk.dust_density.dust_distribution_calc, disk.phase_function.phase_function_calc
        for given, kept in ((self.density_dico, density), (self.spf_dico, phase)):
            for name, value in given.items():
                if isinstance(value, int | float) and getattr(kept, name, value) != value:
                    raise fail(name, "in VIP's range", f"{value:g}, for which it takes {getattr(kept, name):g}")
        steepest = abs(density.itiltthreshold % 180 - 90)
        if abs(self.itilt % 180 - 90) < steepest:
            raise fail("itilt", f"at least {steepest:.2g} degrees from 90 for so thin a disk", f"{self.itilt:g}")
        return disk
