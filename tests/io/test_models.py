import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from astronmf.exceptions import FormatError, GeometryWarning
from astronmf.imaging.geometry import Geometry
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.rings import EdgeOnDisk, Ring
from astronmf.imaging.modelling.sources import PointSource
from astronmf.io.models import read_model, read_model_image

RING = """
[disk]
model = "ring"
radius = 45.0
inclination = 60
position_angle = 30.0
inner_width = 3.0
"""
IMAGE = np.outer(np.arange(4.0), np.arange(5.0)).astype(np.float32)


@pytest.fixture
def written(tmp_path):
    """Return what writes a model file and gives its path."""

    def write(text):
        path = tmp_path / "model.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_each_table_is_a_source_by_its_own_name_in_the_files_order(written):
    text = """
    [second]
    model = "point"
    separation = 50.0
    position_angle = 250.0
    [first]
    model = "edge-on"
    position_angle = 128.0
    height = 3.0
    break_radius = 30.0
    inner_slope = -1.5
    outer_slope = -4.5
    core = 2
    wings = 0.5
    """
    sources, free = read_model(written(text + RING))
    assert list(sources) == ["second", "first", "disk"]
    assert sources["second"] == PointSource(50.0, 250.0)
    assert sources["first"] == EdgeOnDisk(
        128, height=3, break_radius=30, inner_slope=-1.5, outer_slope=-4.5, core=2, wings=0.5
    )
    assert sources["disk"] == Ring(45, 60, 30, inner_width=3)
    assert free == {}


def test_ranges_of_free_parameters_are_read_beside_their_source(written):
    found = read_model(written(RING + "[disk.free]\nradius = [40, 50.5]\ng = [-0.5, 0.5]"))
    assert found.free == {"disk": {"radius": (40.0, 50.5), "g": (-0.5, 0.5)}}


def test_lengths_in_arcseconds_become_pixels_and_nothing_else_does(written):
    text = 'lengths = "arcsec"\npixel_scale = 0.1' + RING + "[disk.free]\nradius = [40, 50]\ninclination = [50, 70]"
    sources, free = read_model(written(text))
    assert sources["disk"].radius == pytest.approx(450)
    assert sources["disk"].inner_width == pytest.approx(30)
    assert sources["disk"].inclination == 60
    assert free["disk"]["radius"] == pytest.approx((400, 500))
    assert free["disk"]["inclination"] == (50, 70)
    point = 'lengths = "arcsec"\n[b]\nmodel = "point"\nseparation = 0.5\nposition_angle = 3'
    assert read_model(written(point), pixel_scale=0.05).sources["b"].separation == pytest.approx(10)


def test_the_scale_that_is_given_goes_before_the_files_own(written):
    text = 'lengths = "arcsec"\npixel_scale = 0.1' + RING
    assert read_model(written(text), pixel_scale=0.2).sources["disk"].radius == pytest.approx(225)


def test_an_image_is_read_from_beside_the_model_file(written, tmp_path):
    (tmp_path / "images").mkdir()
    fits.PrimaryHDU(IMAGE).writeto(tmp_path / "images" / "disk.fits")
    text = '[a]\nmodel = "image"\nfile = "images/disk.fits"\npixel_scale = 0.05\nconvolved = true'
    image = read_model(written(text)).sources["a"]
    np.testing.assert_array_equal(image.data, IMAGE)
    assert (image.pixel_scale, image.convolved, image.unit) == (0.05, True, None)


def test_an_images_unit_and_scale_are_those_of_its_header(tmp_path):
    header = fits.Header({"BUNIT": "MJy/sr", "PIXSCALE": 0.031})
    path = tmp_path / "scaled.fits"
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(IMAGE, header)]).writeto(path)
    image = read_model_image(path)
    assert image.unit == u.MJy / u.sr
    assert image.pixel_scale == 0.031
    assert image.convolved is None


def test_an_image_with_sky_coordinates_lies_where_they_say(tmp_path):
    header = fits.Header({
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0, "CRPIX1": 4.0, "CRPIX2": 2.0,
        "CDELT1": -0.1 / 3600, "CDELT2": 0.1 / 3600, "CUNIT1": "deg", "CUNIT2": "deg",
    })  # fmt: skip
    spot = np.zeros((9, 9))
    spot[1, 3] = 1.0
    fits.PrimaryHDU(spot, header).writeto(tmp_path / "sky.fits")
    observer = Observer(Geometry((10.0, 10.0), pixel_scale=0.1), (1, 21, 21))
    for scale in (None, 0.1, 0.2):
        seen = read_model_image(tmp_path / "sky.fits", pixel_scale=scale).frames(observer)[0]
        assert np.unravel_index(seen.argmax(), seen.shape) == (10, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = ", "not TOML"),
        ("", r"has no source; a source is a table such as \[disk\], with a key 'model'"),
        ("radius = 3", "radius must be a table with a key 'model', or one of lengths, pixel_scale, got 3"),
        ('lengths = "au"' + RING, "lengths must be one of 'pixels', 'arcsec', got 'au'"),
        ('lengths = "arcsec"' + RING, "lengths in arcsec need the detector's pixel scale: add a line pixel_scale"),
        ("pixel_scale = -1" + RING, "pixel_scale must be arcseconds a pixel, above 0, got -1"),
        ("[a]\nradius = 3", r"model in \[a\] must be one of 'ring', 'edge-on', 'point', 'image'; there is none"),
        ('[a]\nmodel = "blob"', r"model in \[a\] must be one of .*; got 'blob'"),
        (
            RING + "colour = 3",
            r"no parameter of a ring \(\[disk\]\) is called 'colour'; there are radius, inclination, position",
        ),
        ('[a]\nmodel = "ring"\nradius = 3', r"\[a\] needs inclination, position_angle, inner_width"),
        (RING + 'g = "much"', r"g in \[disk\] must be a number, got 'much'"),
        (RING + "g = true", r"g in \[disk\] must be a number, got True"),
        (RING + "g = 3", r"\[disk\]: 'g' must be a number in"),
        (RING + "free = 3", r"free in \[disk\] must be a table of ranges \[low, high\], got 3"),
        (RING + "[disk.free]\nr = [1, 2]", r"no parameter that may be free \(\[disk.free\]\) is called 'r'; there are"),
        (RING + "[disk.free]\nflux = [1, 2]", "is called 'flux'"),
        (RING + "[disk.free]\nradius = [50, 40]", r"radius in \[disk.free\] must be \[low, high\], two numbers"),
        (RING + "[disk.free]\nradius = 45", "two numbers"),
        (RING + "[disk.free]\nradius = [10, 20]", r"must hold the value that it starts from, 45, got \[10, 20\]"),
        ('[a]\nmodel = "image"', r"\[a\] needs file"),
        ('[a]\nmodel = "image"\nfile = 3', r"file in \[a\] must be a text, got 3"),
        ('[a]\nmodel = "image"\nfile = "x"\nconvolved = 1', r"convolved in \[a\] must be true or false, got 1"),
        ('[a]\nmodel = "image"\nfile = "x"\npixel_scale = true', r"pixel_scale in \[a\] must be a number, got True"),
        ('[a]\nmodel = "image"\nfile = "x"\nflux = 1', "no parameter of a image .* is called 'flux'"),
    ],
)  # fmt: skip
def test_a_model_file_that_is_not_as_it_should_be_says_why_and_names_itself(written, text, message):
    with pytest.raises(FormatError, match=rf"model\.toml: .*{message}"):
        read_model(written(text))


def test_files_that_are_not_there_are_named(written, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.toml: no such file"):
        read_model(tmp_path / "nothing.toml")
    with pytest.raises(FileNotFoundError, match=r"nothing\.fits: no such file"):
        read_model(written('[a]\nmodel = "image"\nfile = "nothing.fits"'))


def test_images_of_no_use_as_a_model_are_named(tmp_path):
    cube, broken = tmp_path / "cube.fits", tmp_path / "broken.fits"
    fits.PrimaryHDU(np.zeros((2, 3, 4))).writeto(cube)
    fits.PrimaryHDU(np.full((3, 3), np.nan)).writeto(broken)
    with pytest.raises(FormatError, match=r"cube\.fits: holds no image \(y, x\) to use as a model"):
        read_model_image(cube)
    with pytest.raises(FormatError, match=r"broken\.fits' must be finite everywhere"):
        read_model_image(broken)


def test_an_image_has_no_free_parameters(written, tmp_path):
    fits.PrimaryHDU(IMAGE).writeto(tmp_path / "disk.fits")
    text = '[a]\nmodel = "image"\nfile = "disk.fits"\n[a.free]\nradius = [1, 2]'
    with pytest.raises(FormatError, match="is called 'radius'; an image has none"):
        read_model(written(text))


OFFSETS = {"CDELT1": -1e-5, "CDELT2": 1e-5, "CRPIX1": 4.0, "CRPIX2": 2.0, "CUNIT1": "deg", "CUNIT2": "deg"}


def test_steps_without_a_kind_of_axes_are_offsets_from_the_star(tmp_path):
    fits.PrimaryHDU(IMAGE, fits.Header(OFFSETS)).writeto(tmp_path / "bare.fits")
    image = read_model_image(tmp_path / "bare.fits")
    assert image.sky.pixel_scale == pytest.approx(0.036)
    assert image.sky.star(None) == pytest.approx((3, 1))


@pytest.mark.parametrize("without", ["CUNIT1", "CRPIX2"])
def test_steps_that_say_too_little_are_a_warning_unless_the_pixel_scale_is_told(tmp_path, without):
    header = fits.Header({key: value for key, value in OFFSETS.items() if key != without})
    fits.PrimaryHDU(IMAGE, header).writeto(tmp_path / "bare.fits")
    with pytest.warns(GeometryWarning, match="CDELT is not used, for want of CUNIT .* and CRPIX, or CTYPE; give"):
        assert read_model_image(tmp_path / "bare.fits").sky is None
    assert read_model_image(tmp_path / "bare.fits", pixel_scale=0.036).pixel_scale == 0.036
