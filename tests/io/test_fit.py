"""Fits and forward models in files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import QTable
from detection_helpers import POINT
from imaging_helpers import files_in
from modelling_helpers import RING, SOURCES, modelled

from astronmf.exceptions import FormatError
from astronmf.imaging.modelling.fit_result import TemplateFit
from astronmf.imaging.modelling.forward_images import ForwardImages
from astronmf.imaging.modelling.parameters import parameter_table
from astronmf.imaging.modelling.sampling import Posterior
from astronmf.io.fit import check_chain, write_fit

ARRAYS = (
    "amplitudes",
    "covariance",
    "variance_inflation",
    "coefficients",
    "coefficient_covariances",
    "star",
    "residuals",
    "templates",
    "fitted",
    "combined",
    "combined_uncertainty",
    "model",
    "residual",
)
CALIBRATED = (
    "angles",
    "amplitudes",
    "covariance",
    "raw",
    "raw_errors",
    "null_amplitudes",
    "noise_factor",
    "degrees_of_freedom",
)


@pytest.fixture(scope="module", params=["plain", "calibrated"])
def fit(request):
    return modelled().fit(SOURCES, psf=POINT, calibration="angles" if request.param == "calibrated" else None)


@pytest.fixture(scope="module")
def path(fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("fit") / "fit.fits"
    fit.write(path)
    return path


class TestFit:
    def test_all_that_was_found_comes_back_to_the_last_bit(self, fit, path):
        back = TemplateFit.read(path)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(back, name), getattr(fit, name), err_msg=name)
        assert (back.names, back.status) == (fit.names, fit.status)
        assert (back.chi2, back.n_valid, back.n_parameters) == (fit.chi2, fit.n_valid, fit.n_parameters)
        assert back.condition_number == fit.condition_number
        assert repr(back) == repr(fit)
        assert back.unit == fit.unit

    def test_the_calibration_comes_back(self, fit, path):
        back = TemplateFit.read(path)
        assert (back.calibration is None) == (fit.calibration is None)
        for name in CALIBRATED if fit.calibration is not None else ():
            np.testing.assert_array_equal(getattr(back.calibration, name), getattr(fit.calibration, name))
        assert back.table().colnames == fit.table().colnames

    def test_the_settings_and_the_place_on_the_sky_come_back(self, fit, path):
        back = TemplateFit.read(path)
        assert back.settings == fit.settings
        assert back.meta == json.loads(json.dumps(fit.meta))
        assert (back.center, back.pixel_scale, back.is_north_up) == ((16, 16), 0.063, True)
        np.testing.assert_array_equal(back.geometry.angles, fit.geometry.angles)

    def test_written_again_it_is_the_same(self, path, tmp_path):
        TemplateFit.read(path).write(tmp_path / "again.fits")
        with fits.open(path) as one, fits.open(tmp_path / "again.fits") as other:
            assert [hdu.name for hdu in one] == [hdu.name for hdu in other]
            assert fits.FITSDiff(one, other, ignore_keywords=["CHECKSUM", "DATASUM"]).identical

    def test_others_can_read_it(self, fit, path):
        with fits.open(path, checksum=True) as hdus:
            names = [hdu.name for hdu in hdus]
            header, first = hdus[0].header, hdus["COMBINED"].header
            np.testing.assert_allclose(hdus["COMBINED"].data - hdus["MODEL"].data, hdus["RESIDUAL"].data, atol=1e-9)
            assert list(hdus["AMPLITUDES"].data["NAME"]) == ["disk", "planet"]
            assert len(hdus["FRAMES"].data) == len(fit.residuals)
            assert "CHECKSUM" in hdus["FRAME_RESIDUALS"].header
        assert names[1:5] == ["COMBINED", "COMBINED_ERR", "MODEL", "RESIDUAL"]
        assert ("NULLS" in names) == (fit.calibration is not None)
        assert (first["BUNIT"], first["CRPIX1"], first["CUNIT1"], first["PIXSCALE"]) == (
            "MJy sr-1",
            17,
            "arcsec",
            0.063,
        )
        assert (header["CONTENT"], header["NTEMPL"], header["NVALID"]) == ("template fit", 2, fit.n_valid)
        assert json.loads(header["PARAMS"])["star"] == "components"

    def test_a_file_that_is_there_is_kept(self, fit, tmp_path):
        (tmp_path / "fit.fits").write_text("mine")
        with pytest.raises(FileExistsError, match=r"fit.fits exists"):
            fit.write(tmp_path / "fit.fits")
        assert (tmp_path / "fit.fits").read_text() == "mine"
        fit.write(tmp_path / "fit.fits", overwrite=True)
        assert files_in(tmp_path) == ["fit.fits"]


def test_names_beyond_ascii_and_an_array_of_systematics_come_back(tmp_path):
    level = np.full((33, 33), 0.5)
    fit = modelled().fit({"Scheibe β": RING}, psf=POINT, systematics=level, star="frame")
    fit.write(tmp_path / "fit.fits")
    back = TemplateFit.read(tmp_path / "fit.fits")
    assert back.names == ("Scheibe β",)
    assert back.meta["parameters"]["systematics"] == "array of shape (33, 33)"
    np.testing.assert_array_equal(back.scale_factors, fit.scale_factors)


def test_an_amplitude_that_nothing_determines_stays_unknown(tmp_path):
    nothing = np.zeros((33, 33))
    with pytest.warns(match="no light"):
        fit = modelled().fit({"nothing": nothing, "disk": RING}, psf=POINT)
    fit.write(tmp_path / "fit.fits")
    back = TemplateFit.read(tmp_path / "fit.fits")
    assert back.status[0] == "unconstrained"
    assert np.isnan(back.amplitudes[0])
    assert np.isfinite(back.amplitudes[1])


def test_what_is_no_fit_is_told(tmp_path):
    modelled().write(tmp_path / "reduction.fits")
    with pytest.raises(FormatError, match=r"reduction.fits: not a fit of templates \(it has no extension MODEL\)"):
        TemplateFit.read(tmp_path / "reduction.fits")
    with pytest.raises(FormatError, match=r"reduction.fits: not a forward model"):
        ForwardImages.read(tmp_path / "reduction.fits")


def test_parameters_and_their_samples_are_tables(tmp_path):
    likelihood = modelled().likelihood(SOURCES, {"disk": {"radius": (8, 10), "g": (0, 0.5)}}, psf=POINT)
    start = likelihood.start
    np.testing.assert_array_equal(start, [9.0, 0.2])
    rng = np.random.default_rng(0)
    samples = start + 0.01 * rng.standard_normal((30, 8, 2))
    posterior = Posterior(
        likelihood.names,
        samples,
        np.ones((30, 8, 2)),
        np.full((30, 8, 2), 0.1),
        list(SOURCES),
        -samples[..., 0],
        0.4,
        np.full(2, np.nan),
    )
    fit = modelled().fit(SOURCES, psf=POINT)
    table = parameter_table(likelihood, start, posterior)
    write_fit(replace(fit, parameters=table), tmp_path / "fit.fits", posterior=posterior)
    back = TemplateFit.read(tmp_path / "fit.fits").parameters
    assert back.colnames == table.colnames
    for name in table.colnames:
        np.testing.assert_array_equal(back[name], table[name], err_msg=name)
    assert list(back["name"]) == ["disk.radius", "disk.g"]
    assert list(back["unit"]) == ["pix", ""]
    found = QTable.read(tmp_path / "fit.fits", hdu="SAMPLES")
    assert found.colnames == posterior.columns
    assert len(found) == 20 * 8


def test_a_file_that_is_no_chain_is_told(tmp_path):
    check_chain(tmp_path / "nothing.h5")
    (tmp_path / "text.h5").write_text("mine")
    with pytest.raises(FormatError, match=r"text.h5: not an HDF5 file"):
        check_chain(tmp_path / "text.h5")


class TestForward:
    @pytest.mark.parametrize("exact", [False, True])
    def test_everything_comes_back_to_the_last_bit(self, tmp_path, exact):
        reduction = modelled("adi")
        model = reduction.forward_model(RING, psf=POINT, exact=exact)
        images = ForwardImages.of(model, reduction)
        images.write(tmp_path / "forward.fits")
        back = ForwardImages.read(tmp_path / "forward.fits")
        for name in ("source", "combined", "frames", "same_active_set"):
            np.testing.assert_array_equal(getattr(back, name), getattr(images, name))
        assert (back.exact is None) == (not exact)
        assert (back.unit, back.throughput) == (images.unit, images.throughput)
        np.testing.assert_equal(back.largest_difference, model.largest_difference)
        with fits.open(tmp_path / "forward.fits", checksum=True) as hdus:
            assert ("EXACT" in hdus) == ("DIFFERENCE" in hdus) == exact
            assert len(hdus["ACTIVE_SETS"].data) == len(images.frames)
            assert hdus["FORWARD"].header["CUNIT1"] == "arcsec"

    def test_the_source_is_what_would_be_there_without_the_reduction(self):
        reduction = modelled()
        images = ForwardImages.of(reduction.forward_model(RING, psf=POINT), reduction)
        total = np.nansum(images.source)
        assert total == pytest.approx(1.0, abs=0.02)  # of a ring of unit flux, less what the mask at the star hides
        assert 0 < images.throughput < 1
        assert f"throughput {images.throughput:.3f}, active" in repr(images)

    @pytest.mark.parametrize("mode", ["rdi", "adi"])
    @pytest.mark.parametrize("exact", [False, True])
    def test_the_throughput_is_the_amplitude_of_the_source_in_what_is_left_of_it(self, mode, exact):
        reduction = modelled(mode)
        images = ForwardImages.of(reduction.forward_model(SOURCES["planet"], psf=POINT, exact=exact), reduction)
        left = images.exact if exact else images.combined
        known = np.isfinite(left)
        (amplitude,), *_ = np.linalg.lstsq(images.source[known][:, None], left[known], rcond=None)
        assert images.throughput == pytest.approx(amplitude)
        assert 0.4 < images.throughput < 1
        assert ("reduced again" in repr(images)) == exact

    def test_what_wings_a_reduction_leaves_elsewhere_does_not_change_the_throughput(self):
        reduction = modelled()
        images = ForwardImages.of(reduction.forward_model(SOURCES["planet"], psf=POINT), reduction)
        dark = images.source < 1e-6 * np.nanmax(images.source)
        elsewhere = np.where(dark, images.combined - 0.01, images.combined)
        assert np.nansum(elsewhere) < -1
        assert replace(images, combined=elsewhere).throughput == pytest.approx(images.throughput, abs=1e-4)
        assert replace(images, combined=0.3 * images.source).throughput == pytest.approx(0.3)

    def test_a_source_without_light_has_no_throughput(self):
        reduction = modelled()
        images = ForwardImages.of(reduction.forward_model(np.zeros((33, 33))), reduction)
        assert np.isnan(images.throughput)
        assert np.isnan(images.largest_difference)
        assert images.difference is None
