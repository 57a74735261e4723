"""VIP's disk, by a stand-in with the arguments and attributes of version 2.1.1, and itself where it is installed."""

import sys
from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest
from adapter_helpers import installed
from imaging_helpers import gaussian
from scipy import ndimage

from astronmf.adapters.vip_disk import MODULE, VIPDisk
from astronmf.imaging.geometry import Geometry
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.rings import Ring
from astronmf.imaging.psf import PSF

AU = 2.0  # a pixel: 0.1 arcsec at 20 pc


class StandIn:
    """The arguments of VIP's class, kept as it keeps them; the picture is a spot at a place that depends on them."""

    def __init__(self, nx=200, ny=200, distance=50.0, itilt=60.0, omega=0.0, pxInArcsec=0.01225, pa=0.0, flux_max=None,
                 density_dico=None, spf_dico=None, xdo=0.0, ydo=0.0, xs=None, ys=None):  # fmt: skip
        self.given = {name: value for name, value in locals().items() if name != "self"}
        kept = SimpleNamespace(rmax=4 * density_dico["a"], itiltthreshold=86.0, ain=max(density_dico["ain"], 0.1))
        self.dust_density = SimpleNamespace(dust_distribution_calc=kept)
        self.phase_function = SimpleNamespace(phase_function_calc=SimpleNamespace(g=min(spf_dico["g"], 0.99)))
        self.shape, self.place = (ny, nx), density_dico["a"] / (pxInArcsec * distance)

    def compute_scattered_light(self, halfNbSlices=25):
        assert halfNbSlices >= 2
        y, x = self.shape[0] // 2, self.shape[1] // 2
        return gaussian(self.shape, x, y + self.place)


@pytest.fixture
def stand_in(monkeypatch):
    """Put the stand-in where VIP's class would be; return the calls that it sees."""
    calls = []

    def make(**arguments):
        calls.append(arguments)
        return StandIn(**arguments)

    monkeypatch.setitem(sys.modules, MODULE, SimpleNamespace(ScatteredLightDisk=make))
    return calls


def observer(size=61, angles=(0.0, 90.0), scale=0.1, **options):
    geometry = Geometry((size // 2, size // 2), pixel_scale=scale, angles=np.array(angles))
    return Observer(geometry, (len(angles), size, size), **options)


def test_vip_is_called_in_its_own_terms(stand_in):
    disk = VIPDisk(0.1, 20, itilt=70, pa=30, xdo=1.5, density_dico={"a": 30}, spf_dico={"g": 0.3})
    disk.image(51)
    (call,) = stand_in
    assert (call["nx"], call["ny"], call["distance"], call["pxInArcsec"]) == (51, 51, 20, 0.1)
    assert (call["itilt"], call["pa"], call["omega"], call["xdo"], call["ydo"]) == (70, 30, 0, 1.5, 0)
    assert call["flux_max"] == 1
    assert call["density_dico"]["a"] == 30
    assert call["density_dico"]["aout"] == -5
    assert call["spf_dico"] == {"name": "HG", "g": 0.3, "polar": False}


def test_every_parameter_changes_by_vips_name_for_it():
    disk = VIPDisk(0.1, 20, density_dico={"a": 30})
    other = disk.with_parameters(pa=10.0, ydo=-1.0, a=35.0, ksi0=2.0, g=0.5)
    assert (other.pa, other.ydo, other.itilt) == (10.0, -1.0, 60.0)
    assert (other.density_dico["a"], other.density_dico["ksi0"], other.density_dico["ain"]) == (35.0, 2.0, 5)
    assert other.spf_dico["g"] == 0.5
    assert (disk.density_dico["a"], disk.spf_dico["g"]) == (30, 0.0)
    with pytest.raises(ValueError, match=r"'parameters' must be some of itilt, .*, got radius"):
        disk.with_parameters(radius=3)
    with pytest.raises(ValueError, match=r"'parameters' must be some of name, a, .*, got slope"):
        VIPDisk(0.1, 20, density_dico={"slope": 3})


def test_quantities_are_arcseconds_and_parsecs():
    disk = VIPDisk(100 * u.mas, 0.02 * u.kpc)
    assert (disk.pixel_scale, disk.distance) == (pytest.approx(0.1), pytest.approx(20))
    with pytest.raises(ValueError, match="'distance' must be a number above 0"):
        VIPDisk(0.1, -3)


def test_frames_are_vips_picture_turned_and_convolved(stand_in):
    disk = VIPDisk(0.1, 20, density_dico={"a": 30})  # 15 pixels north of the star
    frames = disk.frames(observer())
    assert np.unravel_index(frames[0].argmax(), (61, 61)) == (45, 30)
    assert np.unravel_index(frames[1].argmax(), (61, 61)) == (30, 45)  # the detector's +y is east: north is right
    psf = PSF(gaussian((15, 15), 7, 7, fwhm=5.0), 5.0)
    blurred = disk.frames(observer(psf=psf))
    assert blurred.max() < 0.7 * frames.max()
    assert blurred.sum() == pytest.approx(frames.sum(), rel=1e-3)


def test_no_more_is_drawn_than_the_frames_or_the_disk_need(stand_in):
    VIPDisk(0.1, 20, density_dico={"a": 5}).frames(observer())
    assert stand_in[-1]["nx"] == 2 * (10 + 1) + 1
    VIPDisk(0.1, 20, density_dico={"a": 3000}).frames(observer())
    assert stand_in[-1]["nx"] == 2 * (np.ceil(30 * np.sqrt(2)) + 1) + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"g": 1.5}, "'g' must be in VIP's range, got 1.5, for which it takes 0.99"),
        ({"ain": 0.01}, "'ain' must be in VIP's range, got 0.01, for which it takes 0.1"),
        ({"itilt": 89}, "'itilt' must be at least 4 degrees from 90 for so thin a disk, got 89"),
    ],
)
def test_what_vip_would_replace_in_silence_is_an_error(stand_in, changes, message):
    with pytest.raises(ValueError, match=message):
        VIPDisk(0.1, 20).with_parameters(**changes).image(31)


def test_frames_of_another_pixel_scale_and_pictures_of_even_size_are_errors(stand_in):
    with pytest.raises(ValueError, match=r"'pixel_scale' must be that of the frames, 0.1, got 0.05"):
        VIPDisk(0.05, 20).frames(observer())
    with pytest.raises(ValueError, match="'size' must be odd, so that the star is at the middle pixel, got 30"):
        VIPDisk(0.1, 20).image(30)
    assert VIPDisk(0.05, 20).frames(observer(scale=None)).shape == (2, 61, 61)


def twins(inclination, position_angle, g, along=0.0, across=0.0):
    """Return VIP's disk and a ring of about its profile, both with the same geometry."""
    ring = Ring(19.95, inclination, position_angle, inner_width=1.3, height=0.5, g=g, offset_along=along,
                offset_across=across)  # fmt: skip
    disk = VIPDisk(
        0.1, 20, itilt=inclination, pa=position_angle + 180, xdo=-along * AU, ydo=across * AU,
        density_dico={"a": 20 * AU, "ain": 20, "aout": -20, "ksi0": np.sqrt(2) * 0.5 * AU, "beta": 0},
        spf_dico={"g": g}, half_slices=40,
    )  # fmt: skip
    return disk, ring


def seen_by_telescope(one, other):
    """Return both smoothed to a FWHM of 4.7 pixels, the second scaled to the first.

    Power laws have wider wings than a Gaussian.
    """
    first, second = (ndimage.gaussian_filter(image, 2.0) for image in (one, other))
    return first, second * (first * second).sum() / (second**2).sum()


@installed("vip_hci")
@pytest.mark.parametrize(
    "geometry",
    [(60, 30, 0.4), (120, 30, 0.4), (40, 200, -0.3), (60, 30, 0.3, 3.0, -2.0), (25, 300, 0.2, -2.0, 3.0)],
    ids=["near side", "turned over", "backward", "offset", "offset, turned"],
)
def test_vip_and_a_ring_show_the_same_picture_of_the_same_geometry(geometry):
    disk, ring = twins(*geometry)
    theirs, ours = seen_by_telescope(disk.image(81), ring.image((81, 81)))
    assert np.abs(theirs - ours).max() < 0.03 * theirs.max()
    assert theirs.sum() == pytest.approx(ours.sum(), rel=0.02)
    turned = ring.with_parameters(position_angle=ring.position_angle + 180)
    theirs, wrong = seen_by_telescope(disk.image(81), turned.image((81, 81)))
    assert np.abs(theirs - wrong).max() > 0.5 * theirs.max()


@installed("vip_hci")
def test_vips_disk_is_in_frames_where_the_ring_is():
    disk, ring = twins(60, 30, 0.4)
    seen = observer(angles=(0.0, 50.0))
    for theirs, ours in zip(disk.frames(seen), ring.frames(seen), strict=True):
        one, other = seen_by_telescope(theirs, ours)
        assert np.abs(one - other).max() < 0.03 * one.max()


@installed("vip_hci")
@pytest.mark.parametrize("changes", [{"g": 1.5}, {"ain": 0.01}, {"itilt": 89.9}, {"beta": -1.0}])
def test_vip_itself_is_seen_to_replace_what_it_does_not_take(changes):
    with pytest.raises(ValueError, match=f"'{next(iter(changes))}' must be"):
        VIPDisk(0.1, 20).with_parameters(**changes).image(31)
