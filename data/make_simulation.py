"""Simulate a small coronagraphic observation whose truth is known.

Run ``python data/make_simulation.py -o data`` to write three FITS files:

``simulated_science.fits``
    A star with a ring and a planet: two telescope rolls of four exposures each.
``simulated_references.fits``
    Three stars without any circumstellar light, sixteen exposures each.
``simulated_truth.fits``
    The noise-free ring, planet, star and off-axis PSF behind the other two.

HCIPy propagates the light through a 6.5 m obstructed aperture, a Lyot coronagraph and an
imaging lens.  It is needed by this script only; the package that reads the files does not use it.

Optics
    The wavefront error is a fixed power-law screen plus a few modes whose amplitudes drift as an
    Ornstein-Uhlenbeck process.  Time runs through the visits in the order reference A, science
    roll 1, reference B, science roll 2, reference C, so the references bracket the science.  The
    drift is small against the fixed error, hence each mode changes the image almost linearly.

Noise
    Poisson noise of star, disk, planet and sky, plus Gaussian read noise.  The mean sky is then
    subtracted and the images are converted to MJy / sr.

Uncertainty
    ``ERR`` is estimated from the noisy data: its photon part comes from the running mean of three
    consecutive exposures of one visit (two at either end), clipped at zero before the sky and the
    read variance are added.  Averaging in time rather than in space keeps the sharp speckles in
    the variance, and a pixel's own noise enters its own weight by at most a half where the
    neighbouring exposures are usable.  To first order, such weights pull a weighted mean low by
    no more than half an electron per pixel and exposure.

Orientation
    ``ANGLE`` is the position angle, east of north, of the detector's +y axis.  A source at
    separation r and position angle PA falls at x = xc - r sin(PA - ANGLE) and
    y = yc + r cos(PA - ANGLE).  The ring is drawn afresh for every roll; no image is rotated.
    The PSF keeps its orientation on the detector, so the north-up truth shows what a telescope at
    ``ANGLE`` zero would see, and a turned roll differs from it by the PSF's own asymmetry.

The off-axis PSF is the one for a source far from the occulting mask, cut to a small square and
normalised to unit sum.  Ring and planet are made with exactly this PSF, so they are consistent
with it to rounding, but the faint light that a real one scatters beyond the cut is left out.  Its
share is one minus the keyword PSFENCL of the truth file.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import hcipy
import numpy as np
from astropy import constants, units
from astropy.io import fits
from numpy.typing import NDArray
from scipy import ndimage

SEED = 20240607
SIZE = 169
CENTRE = SIZE // 2
PSF_SIZE = 31
PIXELS_PER_RESOLUTION = 2.0

DO_NOT_USE = 1
JUMP_DETECTED = 4
# A fixed text in place of the time of writing, which would change the bytes at every run.
CHECKSUM_COMMENT = "ones-complement sum"


@dataclass(frozen=True)
class Telescope:
    """Aperture, coronagraph and band; lengths in metres unless the name says otherwise."""

    diameter: float = 6.5
    obscuration: float = 0.2
    spider_width: float = 0.08
    stop_outer: float = 0.90
    stop_inner: float = 0.30
    stop_spider_width: float = 0.25
    occulter_radius: float = 3.0  # lambda / D at the band centre
    wavelength: float = 2.0e-6
    bandwidth: float = 0.05  # relative
    throughput: float = 0.4  # of the optics and the detector, before the Lyot stop
    pupil_pixels: int = 256

    @property
    def resolution(self) -> float:
        """Angle lambda / D at the band centre, in radians."""
        return self.wavelength / self.diameter

    @property
    def pixel_scale(self) -> float:
        """Angle seen by one detector pixel, in radians."""
        return self.resolution / PIXELS_PER_RESOLUTION

    @property
    def wavelengths(self) -> NDArray[np.float64]:
        """Three wavelengths that sample the band, in metres."""
        return self.wavelength * (1 + self.bandwidth * np.array([-1.0, 0.0, 1.0]) / 3)


@dataclass(frozen=True)
class Aberrations:
    """Wavefront error of the telescope; root-mean-square values in nanometres."""

    static: float = 70.0
    static_exponent: float = -2.8
    low_order_drift: float = 0.8
    mid_frequency_drift: float = 1.0
    mid_frequency_modes: int = 3
    mid_frequency_band: tuple[float, float] = (4.0, 28.0)  # cycles per diameter
    correlation: float = 12.0  # exposures over which the drift forgets its past


@dataclass(frozen=True)
class Exposure:
    """One exposure of the detector."""

    seconds: float = 600.0
    read_noise: float = 9.0  # electrons, for the whole exposure
    sky: float = 0.3  # MJy / sr


@dataclass(frozen=True)
class Ring:
    """Optically thin scattering ring; lengths in pixels, angles in degrees."""

    radius: float = 30.0
    inner_slope: float = 20.0
    outer_slope: float = -14.0
    inclination: float = 60.0
    position_angle: float = 35.0
    asymmetry: float = 0.3
    contrast: float = 5.0e-4  # total flux over the star's


@dataclass(frozen=True)
class Planet:
    """Point source; separation in pixels, position angle in degrees."""

    separation: float = 50.0
    position_angle: float = 250.0
    contrast: float = 1.5e-6  # total flux over the star's


@dataclass(frozen=True)
class Visit:
    """Consecutive exposures of one star at one roll angle."""

    name: str
    exposures: int
    angle: float  # degrees
    star_flux: float  # Jy, as it would be seen without the coronagraph's mask
    is_reference: bool


TARGET_FLUX = 0.5
VISITS = (
    Visit("referenceA", 16, 31.0, 0.75, True),
    Visit("target_roll1", 4, 20.0, TARGET_FLUX, False),
    Visit("referenceB", 16, 74.0, 0.95, True),
    Visit("target_roll2", 4, 48.0, TARGET_FLUX, False),
    Visit("referenceC", 16, 112.0, 0.85, True),
)


# ------------------------------------------------------------------------------- optics


def make_pupil_grid(telescope: Telescope) -> hcipy.Grid:
    """Make the grid, in metres, on which the wavefront is sampled."""
    return hcipy.make_pupil_grid(telescope.pupil_pixels, telescope.diameter)


def make_obstructed(grid: hcipy.Grid, outer: float, inner: float, spider_width: float) -> hcipy.Field:
    """Evaluate a four-spider annulus of the given diameters (m) with anti-aliased edges."""
    shape = hcipy.make_obstructed_circular_aperture(outer, inner / outer, 4, spider_width)
    return hcipy.evaluate_supersampled(shape, grid, 4)


def make_aperture(grid: hcipy.Grid, telescope: Telescope) -> hcipy.Field:
    """Evaluate the transmission of the primary mirror."""
    inner = telescope.obscuration * telescope.diameter
    return make_obstructed(grid, telescope.diameter, inner, telescope.spider_width)


def make_lyot_stop(grid: hcipy.Grid, telescope: Telescope) -> hcipy.Field:
    """Evaluate the Lyot stop: the aperture with every edge moved into the open area."""
    outer = telescope.stop_outer * telescope.diameter
    inner = telescope.stop_inner * telescope.diameter
    return make_obstructed(grid, outer, inner, telescope.stop_spider_width)


def make_coronagraph(grid: hcipy.Grid, stop: hcipy.Field, telescope: Telescope) -> hcipy.LyotCoronagraph:
    """Build a Lyot coronagraph with a hard-edged occulter of fixed angular size."""
    radius = telescope.occulter_radius
    mask_grid = hcipy.make_focal_grid(16, radius + 0.5, spatial_resolution=telescope.resolution)
    disk = hcipy.make_circular_aperture(2 * radius * telescope.resolution)
    mask = 1 - hcipy.evaluate_supersampled(disk, mask_grid, 4)
    return hcipy.LyotCoronagraph(grid, mask, stop)


def make_detector_grid(telescope: Telescope) -> hcipy.Grid:
    """Make the grid, in radians, of the detector's pixel centres."""
    extent = SIZE * telescope.pixel_scale
    return hcipy.make_uniform_grid([SIZE, SIZE], [extent, extent])


class Imager:
    """Images of the star, with and without the occulter, for a wavefront error.

    Parameters
    ----------
    telescope
        The optical design.

    Attributes
    ----------
    grid, aperture
        Pupil grid and the transmission of the primary mirror on it.
    """

    def __init__(self, telescope: Telescope) -> None:
        self.telescope = telescope
        self.grid = make_pupil_grid(telescope)
        self.aperture = make_aperture(self.grid, telescope)
        stop = make_lyot_stop(self.grid, telescope)
        self._stop = hcipy.Apodizer(stop)
        self._coronagraph = make_coronagraph(self.grid, stop, telescope)
        self._lens = hcipy.FraunhoferPropagator(self.grid, make_detector_grid(telescope))

    def _image(self, path_difference: NDArray, optics: hcipy.OpticalElement) -> NDArray:
        """Sum the intensity over the band; path difference in nanometres."""
        image = np.zeros((SIZE, SIZE))
        for wavelength in self.telescope.wavelengths:
            phase = 2 * np.pi * 1e-9 * path_difference / wavelength
            wave = hcipy.Wavefront(self.aperture * np.exp(1j * phase), wavelength)
            image += np.asarray(self._lens(optics(wave)).power).reshape(SIZE, SIZE)
        return image

    def off_axis(self, path_difference: NDArray) -> NDArray:
        """Image a star that misses the occulter but passes the Lyot stop."""
        return self._image(path_difference, self._stop)

    def occulted(self, path_difference: NDArray) -> NDArray:
        """Image a star behind the occulter, in the same units as `off_axis`."""
        return self._image(path_difference, self._coronagraph)


# ---------------------------------------------------------------------- wavefront error


def normalise_mode(mode: NDArray, aperture: NDArray) -> NDArray:
    """Give a map zero mean and unit root-mean-square over the aperture."""
    weights = aperture / aperture.sum()
    mode = mode - np.sum(weights * mode)
    return mode / np.sqrt(np.sum(weights * mode**2))


def make_screen(
    rng: np.random.Generator, shape: tuple[int, int], exponent: float, band: tuple[float, float]
) -> NDArray:
    """Draw a random map with a power-law spectrum inside a band of spatial frequencies.

    Parameters
    ----------
    rng
        Source of randomness.
    shape
        Pixels of the map, which spans one pupil diameter.
    exponent
        Exponent of the power spectral density.
    band
        Lowest and highest frequency, in cycles per diameter.

    Returns
    -------
    NDArray
        The flattened map, in arbitrary units.
    """
    # The screen is drawn on twice the diameter: a periodic one would tie opposite edges together.
    padded = (2 * shape[0], 2 * shape[1])
    axes = [np.fft.fftfreq(length, 1 / length) / 2 for length in padded]
    frequency = np.hypot(axes[0][:, None], axes[1])
    inside = (frequency >= band[0]) & (frequency <= band[1])
    amplitude = np.where(inside, np.maximum(frequency, 0.5) ** (exponent / 2), 0.0)
    noise = np.fft.fft2(rng.standard_normal(padded))
    screen = np.fft.ifft2(noise * amplitude).real
    return screen[: shape[0], : shape[1]].ravel()


def make_drift_modes(rng: np.random.Generator, imager: Imager, aberrations: Aberrations) -> NDArray:
    """Make the drifting wavefront maps, in nanometres for an amplitude of one.

    Returns
    -------
    NDArray
        Tip, tilt and focus, followed by the mid-frequency maps; shape (modes, pupil pixels).
    """
    shape = tuple(imager.grid.shape)
    zernike = hcipy.make_zernike_basis(3, imager.telescope.diameter, imager.grid, 2)
    low = [aberrations.low_order_drift * normalise_mode(mode, imager.aperture) for mode in zernike]
    middle = []
    for _ in range(aberrations.mid_frequency_modes):
        screen = make_screen(rng, shape, -1.0, aberrations.mid_frequency_band)
        screen = normalise_mode(screen, imager.aperture)
        middle.append(aberrations.mid_frequency_drift * screen)
    return np.asarray(low + middle)


def drift_amplitudes(rng: np.random.Generator, exposures: int, modes: int, correlation: float) -> NDArray:
    """Follow Ornstein-Uhlenbeck processes of unit variance through the exposures.

    Returns
    -------
    NDArray
        Amplitudes, shape (exposures, modes).
    """
    memory = np.exp(-1 / correlation)
    steps = rng.standard_normal((exposures, modes))
    amplitudes = np.empty_like(steps)
    amplitudes[0] = steps[0]
    for index in range(1, exposures):
        fresh = np.sqrt(1 - memory**2) * steps[index]
        amplitudes[index] = memory * amplitudes[index - 1] + fresh
    return amplitudes


# ------------------------------------------------------------------------ sky and sources


def electrons_per_jansky(telescope: Telescope) -> float:
    """Electrons per second from a point source of 1 Jy, summed over its off-axis PSF."""
    open_area = np.pi / 4 * telescope.diameter**2
    open_area *= telescope.stop_outer**2 - telescope.stop_inner**2
    photon_rate = units.Jy * open_area * units.m**2 * telescope.bandwidth / constants.h
    return telescope.throughput * float(photon_rate.to_value(1 / units.s))


def pixel_area(telescope: Telescope) -> float:
    """Solid angle of a pixel, in steradians."""
    return telescope.pixel_scale**2


def surface_brightness_unit(telescope: Telescope) -> float:
    """Surface brightness, in MJy / sr, that yields one electron per second and pixel."""
    return 1e-6 / (electrons_per_jansky(telescope) * pixel_area(telescope))


def henyey_greenstein(cosine: NDArray, asymmetry: float) -> NDArray:
    """Phase function of dust, normalised to one for isotropic scattering."""
    return (1 - asymmetry**2) / (1 + asymmetry**2 - 2 * asymmetry * cosine) ** 1.5


def subpixel_offsets(samples: int) -> tuple[NDArray, NDArray]:
    """Offsets (x, y) from the star, in pixels, on a grid finer than the detector's."""
    axis = (np.arange(SIZE * samples) + 0.5) / samples - 0.5 - CENTRE
    return axis[None, :], axis[:, None]


def draw_ring(ring: Ring, angle: float, samples: int = 5) -> NDArray:
    """Draw the ring, before any blur and with unit total flux, on the detector.

    Parameters
    ----------
    ring
        Geometry on the sky.
    angle
        Position angle of the detector's +y axis, in degrees; zero draws north up.
    samples
        Points per pixel and axis over which the model is averaged.
    """
    offset_x, offset_y = subpixel_offsets(samples)
    turn = np.deg2rad(ring.position_angle - angle)
    tilt = np.deg2rad(ring.inclination)
    along = -offset_x * np.sin(turn) + offset_y * np.cos(turn)
    across = (-offset_x * np.cos(turn) - offset_y * np.sin(turn)) / np.cos(tilt)
    distance = np.maximum(np.hypot(along, across), 0.5)
    scaled = distance / ring.radius
    density = (scaled ** (-2 * ring.inner_slope) + scaled ** (-2 * ring.outer_slope)) ** -0.5
    # Positive `across` is the near side, which scatters starlight forward to the observer.
    phase = henyey_greenstein(across * np.sin(tilt) / distance, ring.asymmetry)
    fine = density * phase / scaled**2
    image = fine.reshape(SIZE, samples, SIZE, samples).mean(axis=(1, 3))
    return image / image.sum()


def psf_transfer(psf: NDArray) -> NDArray:
    """Fourier transform of a centred PSF, padded so that a product does not wrap around."""
    padded = np.zeros((2 * SIZE, 2 * SIZE))
    padded[: psf.shape[0], : psf.shape[1]] = psf
    half = psf.shape[0] // 2
    return np.fft.fft2(np.roll(padded, (-half, -half), axis=(0, 1)))


def convolve(image: NDArray, psf: NDArray) -> NDArray:
    """Convolve an image with a centred, odd-sized PSF; light outside the image is taken as none."""
    transform = np.fft.fft2(image, s=(2 * SIZE, 2 * SIZE))
    return np.fft.ifft2(transform * psf_transfer(psf)).real[:SIZE, :SIZE]


def detector_position(separation: float, position_angle: float, angle: float) -> NDArray:
    """Detector position (x, y), in pixels from zero, of a sky position."""
    turn = np.deg2rad(position_angle - angle)
    return CENTRE + separation * np.array([-np.sin(turn), np.cos(turn)])


def draw_point(psf: NDArray, position: NDArray) -> NDArray:
    """Put the PSF, of unit flux, at a fractional position (x, y).

    The shift is a phase ramp: the image of an aperture holds no frequency above the Nyquist limit
    of this sampling, so interpolation in Fourier space adds no error but a faint ringing from the
    edge of the cut.
    """
    frequency = np.fft.fftfreq(2 * SIZE)
    ramp_y = np.exp(-2j * np.pi * frequency * position[1])
    ramp_x = np.exp(-2j * np.pi * frequency * position[0])
    shifted = psf_transfer(psf) * ramp_y[:, None] * ramp_x
    return np.fft.ifft2(shifted).real[:SIZE, :SIZE]


def planet_image(planet: Planet, psf: NDArray, angle: float) -> NDArray:
    """Image of the planet with unit total flux."""
    position = detector_position(planet.separation, planet.position_angle, angle)
    return draw_point(psf, position)


# --------------------------------------------------------------------------- observation


@dataclass
class Scene:
    """Noise-free count rates behind every exposure, in electrons per second.

    Attributes
    ----------
    psf
        Off-axis PSF, unit sum.
    psf_enclosed
        Share of the light in a full frame that falls inside the cut PSF.
    star
        Star images in order of time, shape (exposures, y, x).
    ring, planet
        Images of the circumstellar sources for a roll angle, keyed by that angle in degrees;
        the key 0 holds the north-up images.
    """

    psf: NDArray
    psf_enclosed: float
    star: NDArray
    ring: dict[float, NDArray]
    planet: dict[float, NDArray]


@dataclass
class Observation:
    """Frames as a pipeline would deliver them, in MJy / sr."""

    data: NDArray
    error: NDArray
    quality: NDArray
    names: list[str]
    angles: NDArray
    is_reference: NDArray


def exposure_visits() -> list[Visit]:
    """List the visit of each exposure in order of time."""
    return [visit for visit in VISITS for _ in range(visit.exposures)]


def crop_psf(image: NDArray) -> NDArray:
    """Cut the centre of a star image."""
    half = PSF_SIZE // 2
    inside = slice(CENTRE - half, CENTRE + half + 1)
    return image[inside, inside]


def observe_stars(rng: np.random.Generator, imager: Imager, aberrations: Aberrations) -> tuple[NDArray, NDArray]:
    """Propagate the drifting wavefront of every exposure.

    Returns
    -------
    tuple
        The off-axis image and the occulted images, both per unit flux of an off-axis star.
    """
    shape = tuple(imager.grid.shape)
    band = (0.5, imager.telescope.pupil_pixels / 4)
    screen = make_screen(rng, shape, aberrations.static_exponent, band)
    static = aberrations.static * normalise_mode(screen, imager.aperture)
    modes = make_drift_modes(rng, imager, aberrations)
    count = len(exposure_visits())
    drift = drift_amplitudes(rng, count, len(modes), aberrations.correlation) @ modes
    off_axis = imager.off_axis(static)
    occulted = np.array([imager.occulted(static + change) for change in drift])
    return off_axis / off_axis.sum(), occulted / off_axis.sum()


def make_scene(rng: np.random.Generator, telescope: Telescope) -> Scene:
    """Compute the noise-free rates of star, ring and planet."""
    off_axis, occulted = observe_stars(rng, Imager(telescope), Aberrations())
    core = crop_psf(off_axis)
    psf = core / core.sum()
    jansky = electrons_per_jansky(telescope)
    flux = jansky * np.array([visit.star_flux for visit in exposure_visits()])
    angles = [0.0] + [visit.angle for visit in VISITS if not visit.is_reference]
    ring, planet = Ring(), Planet()
    target = jansky * TARGET_FLUX
    rings = {a: target * ring.contrast * convolve(draw_ring(ring, a), psf) for a in angles}
    planets = {a: target * planet.contrast * planet_image(planet, psf, a) for a in angles}
    return Scene(psf, float(core.sum()), occulted * flux[:, None, None], rings, planets)


def total_rate(scene: Scene, index: int, visit: Visit) -> NDArray:
    """Add up the sources in one exposure, in electrons per second."""
    if visit.is_reference:
        return scene.star[index]
    return scene.star[index] + scene.ring[visit.angle] + scene.planet[visit.angle]


def expose(rng: np.random.Generator, rate: NDArray, sky: float, exposure: Exposure) -> NDArray:
    """Draw sky-subtracted counts, in electrons, from rates in electrons per second."""
    # A Fourier shift rings slightly below zero far from the planet, hence the clip.
    expected = exposure.seconds * (np.maximum(rate, 0) + sky)
    counts = rng.poisson(expected) + rng.normal(0, exposure.read_noise, rate.shape)
    return counts - exposure.seconds * sky


def estimate_variance(counts: NDArray, usable: NDArray, sky: float, exposure: Exposure) -> NDArray:
    """Estimate the variance of one visit's counts from the counts themselves.

    Parameters
    ----------
    counts
        Sky-subtracted counts in electrons, shape (exposures, y, x).
    usable
        Where the counts may be trusted; the others do not enter any average.
    sky
        Sky that was subtracted, in electrons per second.
    exposure
        Exposure time and read noise.

    Returns
    -------
    NDArray
        Variance in electrons squared.  A pixel that is never usable gets that of the empty sky.
    """
    kernel = np.ones((3, 1, 1))
    total = ndimage.convolve(np.where(usable, counts, 0.0), kernel, mode="constant")
    number = ndimage.convolve(usable.astype(float), kernel, mode="constant")
    mean = np.maximum(total / np.maximum(number, 1), 0)
    return mean + exposure.seconds * sky + exposure.read_noise**2


def draw_bad_pixels(rng: np.random.Generator, fraction: float = 0.005) -> NDArray:
    """Draw the values that defective pixels show in every frame, in MJy / sr; others are zero."""
    image = np.zeros(SIZE * SIZE)
    chosen = rng.choice(image.size, round(fraction * image.size), replace=False)
    hot = rng.random(chosen.size) < 0.5
    image[chosen] = np.where(hot, 1e4, rng.uniform(-300, -100, chosen.size))
    return image.reshape(SIZE, SIZE)


def add_cosmic_rays(rng: np.random.Generator, counts: NDArray, quality: NDArray, fraction: float = 0.001) -> None:
    """Add charge, in electrons, to random pixels of every frame and flag them, in place."""
    hit = rng.random(counts.shape) < fraction
    counts[hit] += rng.exponential(4000.0, np.count_nonzero(hit)) + 500
    quality[hit] |= DO_NOT_USE | JUMP_DETECTED


def add_missing_values(rng: np.random.Generator, data: NDArray, error: NDArray, quality: NDArray) -> None:
    """Blank a few pixels of every frame, in place.

    Six values become NaN with the flag set, two become NaN without it, and two more lose only
    their uncertainty.  A reader has to exclude all ten.
    """
    for frame, frame_error, frame_quality in zip(data, error, quality, strict=True):
        chosen = rng.choice(frame.size, 10, replace=False)
        frame.flat[chosen[:8]] = np.nan
        frame_quality.flat[chosen[:6]] |= DO_NOT_USE
        frame_error.flat[chosen[8:]] = np.nan


def visit_variance(counts: NDArray, usable: NDArray, sky: float, exposure: Exposure) -> NDArray:
    """Estimate the variance of all exposures, visit by visit, in electrons squared."""
    ends = np.cumsum([visit.exposures for visit in VISITS])
    pieces = zip(np.split(counts, ends[:-1]), np.split(usable, ends[:-1]), strict=True)
    return np.concatenate([estimate_variance(*piece, sky, exposure) for piece in pieces])


def observe(rng: np.random.Generator, scene: Scene, telescope: Telescope) -> Observation:
    """Turn the noise-free scene into frames with noise, defects and uncertainties."""
    exposure, unit = Exposure(), surface_brightness_unit(telescope)
    sky = exposure.sky / unit
    visits = exposure_visits()
    rates = [total_rate(scene, index, visit) for index, visit in enumerate(visits)]
    counts = np.array([expose(rng, rate, sky, exposure) for rate in rates])
    quality = np.zeros(counts.shape, np.uint8)
    add_cosmic_rays(rng, counts, quality)
    defects = draw_bad_pixels(rng)
    quality[:, defects != 0] |= DO_NOT_USE
    scale = unit / exposure.seconds
    error = scale * np.sqrt(visit_variance(counts, quality == 0, sky, exposure))
    data = np.where(defects != 0, defects, scale * counts)
    add_missing_values(rng, data, error, quality)
    is_reference = np.array([visit.is_reference for visit in visits])
    angles = np.array([visit.angle for visit in visits])
    return Observation(data, error, quality, frame_names(), angles, is_reference)


def frame_names() -> list[str]:
    """Name every exposure after its visit and its place in it."""
    return [f"{v.name}_{index + 1:02d}" for v in VISITS for index in range(v.exposures)]


def select(observation: Observation, chosen: NDArray) -> Observation:
    """Keep the frames at which a boolean array is true."""
    names = [name for name, keep in zip(observation.names, chosen, strict=True) if keep]
    arrays = (observation.data, observation.error, observation.quality)
    kept = [array[chosen] for array in arrays]
    return Observation(*kept, names, observation.angles[chosen], observation.is_reference[chosen])


# --------------------------------------------------------------------------------- files


def make_primary(title: str, telescope: Telescope) -> fits.PrimaryHDU:
    """Make the primary HDU with the keywords that all files share."""
    exposure = Exposure()
    cards = [
        ("ORIGIN", "astronmf", "project that made the file"),
        ("OBJECT", title, "content of the file"),
        ("TELESCOP", "SIMULATED", "no telescope took these data"),
        ("INSTRUME", "HCIPY-LYOT", "Lyot coronagraph propagated with HCIPy"),
        ("FILTER", "SIM200", "square band"),
        ("WAVELEN", telescope.wavelength * 1e6, "[um] band centre"),
        ("BANDWID", round(telescope.wavelength * telescope.bandwidth * 1e6, 6), "[um] band width"),
        ("DIAMETER", telescope.diameter, "[m] aperture"),
        ("LAMD", PIXELS_PER_RESOLUTION, "[pix] lambda/D at the band centre"),
        ("EXPTIME", exposure.seconds, "[s] of one frame"),
        ("READNOIS", exposure.read_noise, "read noise of one frame in electrons"),
        ("SKYLEVEL", exposure.sky, "[MJy/sr] mean sky, already subtracted"),
        ("PHOTMJSR", surface_brightness_unit(telescope), "[MJy/sr] of 1 electron per second"),
        ("LICENSE", "CC0-1.0", "dedicated to the public domain"),
        ("SEED", SEED, "of the random numbers"),
        ("SCRIPT", "data/make_simulation.py", "that wrote this file"),
    ]
    return fits.PrimaryHDU(header=fits.Header(cards))


def image_header(telescope: Telescope, unit: str = "MJy/sr") -> fits.Header:
    """Make the header of an image extension."""
    centre = CENTRE + 1.0
    scale = float((telescope.pixel_scale * units.rad).to_value(units.arcsec))
    header = fits.Header()
    if unit:
        header["BUNIT"] = unit, "unit of the pixel values"
    header["CRPIX1"] = centre, "[pix] x of the star, first pixel is 1"
    header["CRPIX2"] = centre, "[pix] y of the star, first pixel is 1"
    header["PIXSCALE"] = scale, "[arcsec] size of a pixel"
    header["LAMD"] = PIXELS_PER_RESOLUTION, "[pix] lambda/D at the band centre"
    return header


def compress(data: NDArray, name: str, header: fits.Header, step: float) -> fits.CompImageHDU:
    """Compress floating-point frames after rounding them to a fixed step (same unit)."""
    # A negative level is an absolute step: a level relative to the noise of a whole tile would be
    # too coarse for the faint outer pixels that share a tile with the bright star.
    return fits.CompImageHDU(
        data.astype(np.float32),
        header,
        name,
        compression_type="RICE_1",
        tile_shape=(1, SIZE, SIZE),
        quantize_level=-step,
        quantize_method=1,
        dither_seed=1 + SEED % 10000,
    )


def make_frame_table(observation: Observation) -> fits.BinTableHDU:
    """List the name, the orientation and the role of every frame."""
    columns = [
        fits.Column("NAME", "16A", array=np.array(observation.names)),
        fits.Column("ANGLE", "D", unit="deg", array=observation.angles),
        fits.Column("IS_PSF", "L", array=observation.is_reference),
    ]
    return fits.BinTableHDU.from_columns(columns, name="FRAMES")


def make_observation_file(observation: Observation, title: str, telescope: Telescope) -> fits.HDUList:
    """Assemble the extensions SCI, ERR, DQ and FRAMES."""
    faintest = float(np.nanmin(observation.error))
    header = image_header(telescope)
    quality = fits.CompImageHDU(
        observation.quality,
        image_header(telescope, ""),
        "DQ",
        compression_type="RICE_1",
        tile_shape=(1, SIZE, SIZE),
    )
    quality.header["DNU"] = DO_NOT_USE, "bit value: do not use this pixel"
    quality.header["JUMP"] = JUMP_DETECTED, "bit value: cosmic ray"
    return fits.HDUList(
        [
            make_primary(title, telescope),
            compress(observation.data, "SCI", header, faintest / 16),
            compress(observation.error, "ERR", header, faintest / 16),
            quality,
            make_frame_table(observation),
        ]
    )


def add_truth_keywords(header: fits.Header, scene: Scene, telescope: Telescope) -> None:
    """Write what is known of ring and planet to a header, in place."""
    ring, planet, unit = Ring(), Planet(), surface_brightness_unit(telescope)
    header["DISKFLUX"] = float(scene.ring[0.0].sum()) * unit, "[MJy/sr pix] sum of ring pixels"
    header["DISKRAD"] = ring.radius, "[pix] semi-major axis"
    header["DISKINC"] = ring.inclination, "[deg] inclination"
    header["DISKPA"] = ring.position_angle, "[deg] major axis, east of north"
    header["DISKG"] = ring.asymmetry, "Henyey-Greenstein asymmetry"
    header["DISKIN"] = ring.inner_slope, "inner power law of density"
    header["DISKOUT"] = ring.outer_slope, "outer power law of density"
    jansky = electrons_per_jansky(telescope) * TARGET_FLUX
    header["PLFLUX"] = planet.contrast * jansky * unit, "[MJy/sr pix] planet flux"
    header["PLSEP"] = planet.separation, "[pix] separation of the planet"
    header["PLPA"] = planet.position_angle, "[deg] planet, east of north"
    header["STARFLUX"] = jansky * unit, "[MJy/sr pix] of the star if unocculted"
    header["PIXAREA"] = pixel_area(telescope), "[sr] solid angle of a pixel"


def round_image(image: NDArray, decimals: int) -> NDArray[np.float32]:
    """Round an image, so that its bytes do not hang on the last digit of a Fourier transform."""
    # Adding zero turns negative zeros into plain ones.
    return (np.round(image, decimals) + 0.0).astype(np.float32)


def make_truth_file(scene: Scene, telescope: Telescope) -> fits.HDUList:
    """Assemble the noise-free images in MJy / sr; the PSF has no unit."""
    unit, header = surface_brightness_unit(telescope), image_header(telescope)
    rolls = [visit for visit in VISITS if not visit.is_reference]
    of_visit = np.array([visit.name for visit in exposure_visits()])
    images = {
        "DISK": scene.ring[0.0],
        "DISK_DETECTOR": np.array([scene.ring[roll.angle] for roll in rolls]),
        "PLANET": scene.planet[0.0],
        "STAR": np.array([scene.star[of_visit == roll.name].mean(axis=0) for roll in rolls]),
    }
    primary = make_primary("TRUTH", telescope)
    add_truth_keywords(primary.header, scene, telescope)
    hdus = [primary]
    for name, image in images.items():
        hdus.append(fits.ImageHDU(round_image(unit * image, 6), header, name))
    add_truth_keywords(hdus[1].header, scene, telescope)
    for index, roll in enumerate(rolls, start=1):
        primary.header[f"ANGLE{index}"] = roll.angle, "[deg] of plane of DISK_DETECTOR and STAR"
    hdus.append(fits.ImageHDU(round_image(scene.psf, 9), name="PSF"))
    primary.header["PSFENCL"] = scene.psf_enclosed, "share of a full frame's light in PSF"
    return fits.HDUList(hdus)


def write_reproducibly(hdus: fits.HDUList, path: Path) -> None:
    """Write a file with checksums that carry no time of writing."""
    buffer = BytesIO()
    hdus.writeto(buffer)
    buffer.seek(0)
    # Compressed images are opened as the tables they are stored in, so they are not packed twice.
    with fits.open(buffer, disable_image_compression=True) as stored:
        for hdu in stored:
            hdu.add_checksum(when=CHECKSUM_COMMENT)
            hdu.header.comments["DATASUM"] = CHECKSUM_COMMENT
        stored.writeto(path, overwrite=True)


def simulate(folder: Path) -> list[Path]:
    """Run the whole simulation and write its files to a folder."""
    telescope = Telescope()
    # Separate streams keep the optics unchanged when only the noise model is edited.
    optics_rng, noise_rng = np.random.default_rng(SEED).spawn(2)
    scene = make_scene(optics_rng, telescope)
    observation = observe(noise_rng, scene, telescope)
    references = select(observation, observation.is_reference)
    science = select(observation, ~observation.is_reference)
    files = {
        "simulated_science.fits": make_observation_file(science, "Simulated star", telescope),
        "simulated_references.fits": make_observation_file(references, "REFERENCES", telescope),
        "simulated_truth.fits": make_truth_file(scene, telescope),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, hdus in files.items():
        write_reproducibly(hdus, folder / name)
    return [folder / name for name in files]


def main() -> None:
    """Read the command line and write the files."""
    parser = argparse.ArgumentParser(description="Simulate a coronagraphic observation.")
    parser.add_argument("-o", "--output", type=Path, default=Path("data"), help="output folder")
    for path in simulate(parser.parse_args().output):
        print(f"{path}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
