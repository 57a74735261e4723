"""Sources at known places on the sky, as instruments record them, and where they end up in a north-up image."""

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from imaging_helpers import centroid, gaussian

from astronmf.imaging.geometry import center_pixel, to_sky

STAR = SkyCoord(120.0, -30.0, unit="deg")
SHAPE = (45, 47)
CENTER = (23.0, 22.0)  # 0-based (x, y)


def cd_matrix(angle, scale, parity=1):
    """Return the CD cards of a detector whose +y axis lies at position angle `angle`: FITS WCS, paper II."""
    turn, step = np.deg2rad(angle), scale / 3600
    matrix = step * np.array([[-parity * np.cos(turn), np.sin(turn)], [parity * np.sin(turn), np.cos(turn)]])
    return {f"CD{i + 1}_{j + 1}": matrix[i, j] for i in range(2) for j in range(2)}


def sky_cards(center=CENTER):
    """Return the cards that put the star at a pixel."""
    return {
        "CTYPE1": "RA---TAN",
        "CTYPE2": "DEC--TAN",
        "CRVAL1": STAR.ra.deg,
        "CRVAL2": STAR.dec.deg,
        "CRPIX1": center[0] + 1,
        "CRPIX2": center[1] + 1,
    }


def image_of_source(cards, position_angle, separation, shape=SHAPE):
    """Return an image, by astropy's WCS, of a source at a separation in arcseconds and a position angle."""
    source = STAR.directional_offset_by(position_angle * u.deg, separation * u.arcsec)
    x, y = WCS(cards).world_to_pixel(source)
    return gaussian(shape, float(x), float(y))


def image_on_detector(detector_angle, radius, center=CENTER, shape=SHAPE):
    """Return an image of a source at `radius` pixels and an angle counter-clockwise from the detector's +y."""
    turn = np.deg2rad(detector_angle)
    return gaussian(shape, center[0] - radius * np.sin(turn), center[1] + radius * np.cos(turn))


def position_angles(frames):
    """Return where a source is in each frame once it is turned north up: degrees, from north through east."""
    found = []
    for i in range(len(frames)):
        image = to_sky(frames.data[i], frames.geometry, i)
        middle = center_pixel(image.shape)
        x, y = centroid(np.where(image > 0.05, image, 0))
        found.append(np.rad2deg(np.arctan2(-(x - middle[0]), y - middle[1])))
    return np.array(found)


def assert_at(frames, position_angle):
    """Check that the source is at a position angle in every frame turned north up, to 0.2 degrees."""
    wrong = (position_angles(frames) - position_angle + 180) % 360 - 180
    np.testing.assert_allclose(wrong, 0, atol=0.2)
