from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st
from imaging_helpers import gaussian, place, write_cube, write_hdus
from instrument_helpers import assert_at

from astronmf.exceptions import FormatError
from astronmf.imaging import Frames
from astronmf.io.files import sha256
from astronmf.io.mapping_file import ALTERNATIVES, CHOICES, KEYS, NEEDED

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "instruments" / "example.toml"
CUBE = np.arange(3 * 5 * 7, dtype="f4").reshape(3, 5, 7)


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a file by the text of a mapping."""

    def run(path, text, **options):
        (tmp_path / "mapping.toml").write_text(text)
        return Frames.read(path, mapping=tmp_path / "mapping.toml", **options)

    return run


@pytest.fixture
def cube(tmp_path):
    cards = {"ANG": 10.0, "LAST": 16.0, "SX": 4.5, "SY": 3.0, "SCL": 0.03, "TARGET": "HD 1", "ROLE": "CALIB"}
    return write_cube(tmp_path / "cube.fits", CUBE, **cards)


# The example of the documentation


def night(path, **cards):
    """Write a file as the example describes it."""
    shape = (3, 65, 70)
    header = {"PARANG": 30.0, "PARANG_E": 36.0, "STARX": 37.5, "STARY": 33.0, "TARGET": "HD 1", "ROLE": "SCIENCE"}
    angles = np.array([31.0, 33.0, 35.0]) - 1.25
    data = [gaussian(shape[1:], *place((36.5, 32.0), 15, 75.0, angle)) for angle in angles]
    image = fits.ImageHDU(np.array(data, "f4"), name="IMAGE")
    image.header.update(header | cards)
    weights, quality, good = np.full(shape, 4.0), np.zeros(shape, "u1"), np.ones(shape, "u1")
    weights[0, 0, 4], good[0, 0, 5], quality[0, 0, 6:10] = 0, 0, [1, 2, 4, 8]
    others = [fits.ImageHDU(v, name=n) for n, v in (("IVAR", weights), ("QUALITY", quality), ("GOOD", good))]
    return write_hdus(path, image, *others)


def test_the_example_is_read_as_it_says(tmp_path):
    path = night(tmp_path / "night.fits")
    frames = Frames.read(path, mapping=EXAMPLE)
    assert frames.shape == (3, 65, 64)
    np.testing.assert_array_equal(frames.data, fits.getdata(path, "IMAGE")[:, :, 4:68])
    assert frames.unit == u.adu / u.s
    assert (frames.sigma[~frames.mask] == 0.5).all()
    assert list(zip(*frames.mask.nonzero(), strict=True)) == [(0, 0, 0), (0, 0, 1), (0, 0, 2), (0, 0, 3)]
    np.testing.assert_allclose(frames.angles, [29.75, 31.75, 33.75])
    assert frames.geometry.center == (32.5, 32.0)
    assert (frames.geometry.pixel_scale, frames.geometry.parity) == (0.0271, 1)
    assert frames.names == ["HD 1 0", "HD 1 1", "HD 1 2"]
    assert not frames.is_reference.any()
    assert frames.meta["mapping"] == [{"name": "example.toml", "sha256": sha256(EXAMPLE)}]
    assert frames.meta["inputs"] == [{"name": "night.fits", "sha256": sha256(path)}]


def test_a_source_ends_at_its_position_angle(tmp_path):
    assert_at(Frames.read(night(tmp_path / "night.fits"), mapping=EXAMPLE), 75.0)


def test_files_of_the_science_target_and_of_reference_stars_are_told_apart(tmp_path):
    paths = [night(tmp_path / "night.fits"), night(tmp_path / "calib.fits", ROLE="CALIB", TARGET="HD 2")]
    science, references = Frames.read(paths, mapping=EXAMPLE).split()
    assert science.names[0] == "HD 1 0"
    assert references.names[0] == "HD 2 0"
    assert len(references.meta["mapping"]) == 1


def test_the_documentation_shows_the_example():
    assert EXAMPLE.read_text().strip() in (DOCS / "instruments.md").read_text()


def test_the_example_has_every_section():
    text = EXAMPLE.read_text()
    assert all(f"[{section}]" in text for section in KEYS)
    assert all(key in text for section in KEYS.values() for key in section)


# What a mapping may say


def test_an_empty_mapping_reads_the_first_image(read, cube):
    frames = read(cube, "", center=(3, 2))
    np.testing.assert_array_equal(frames.data, CUBE)
    assert (frames.sigma, frames.angles, frames.unit, frames.geometry.pixel_scale) == (None, None, None, None)
    assert frames.names[0] == "cube.fits 0"
    assert read(cube, "").geometry.center == (3.0, 2.0)  # the middle of odd-sized frames


def test_the_format_may_be_named_or_told_by_the_option(read, cube, tmp_path):
    frames = read(cube, "[pixels]\nscale = 0.5", format="mapping")
    assert frames.geometry.pixel_scale == 0.5
    with pytest.raises(ValueError, match="'mapping' must be a TOML file that says where the file has what, got None"):
        Frames.read(cube, format="mapping")
    with pytest.raises(ValueError, match="'mapping' must be left out: format 'fits' has center"):
        Frames.read(cube, format="fits", mapping=tmp_path / "mapping.toml")


@given(st.permutations("nyx"))
def test_axes_may_stand_in_any_order(tmp_path_factory, axes):
    folder = tmp_path_factory.mktemp("axes")
    data = np.transpose(CUBE, ["nyx".index(axis) for axis in axes])
    (folder / "a.toml").write_text(f'[data]\naxes = "{"".join(axes)}"\ntrim = {{ x = [1, 6] }}')
    frames = Frames.read(write_cube(folder / "a.fits", data), mapping=folder / "a.toml")
    np.testing.assert_array_equal(frames.data, CUBE[:, :, 1:6])


@pytest.mark.parametrize(("axes", "data"), [("nyx", CUBE[0]), ("yx", CUBE[0]), ("xy", CUBE[0].T), ("xny", CUBE[0].T)])
def test_an_image_is_a_frame_with_its_axes_in_order(read, tmp_path, axes, data):
    frames = read(write_cube(tmp_path / "a.fits", data), f'[data]\naxes = "{axes}"')
    np.testing.assert_array_equal(frames.data, CUBE[:1])


@pytest.mark.parametrize(
    ("kind", "values"), [("sigma", [2.0, 0.5]), ("variance", [4.0, 0.25]), ("inverse variance", [0.25, 4.0])]
)
def test_errors_of_every_kind_become_sigma(read, tmp_path, kind, values):
    error = fits.ImageHDU(np.array(values)[:, None, None] * np.ones((2, 5, 7)), name="E")
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE[:2]), error)
    frames = read(path, f'[error]\nextension = "E"\nkind = "{kind}"')
    np.testing.assert_allclose(frames.sigma[:, 0, 0], [2.0, 0.5])
    one = write_hdus(tmp_path / "b.fits", fits.PrimaryHDU(CUBE[:2]), fits.ImageHDU(np.ones((5, 7))))
    assert (read(one, f'[error]\nextension = 1\nkind = "{kind}"').sigma == 1).all()


def test_no_weight_is_no_surprise(read, tmp_path):
    weights = np.ones((3, 5, 7))
    weights[1, 2, 3] = 0
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE), fits.ImageHDU(weights))
    frames = read(path, '[error]\nextension = 1\nkind = "inverse variance"')
    assert list(zip(*frames.mask.nonzero(), strict=True)) == [(1, 2, 3)]


FLAGS = np.zeros((3, 5, 7), np.int16)
FLAGS[0, 0, :4] = [1, 2, 4, 3]


@pytest.mark.parametrize(
    ("text", "options", "excluded"),
    [
        ("", {}, [0, 1, 2, 3]),
        ("bits = 4", {}, [2]),
        ("bits = [1, 4]", {}, [0, 2, 3]),
        ('bits = "HOT,DEAD"\nnames = { HOT = 1, DEAD = 4 }', {}, [0, 2, 3]),
        ('bits = "~HOT"\nnames = { HOT = 1, DEAD = 4 }', {}, [1, 2, 3]),
        ("bits = 4", {"dq_bits": 1}, [0, 3]),
        ("bits = 4\nnames = { HOT = 1 }", {"dq_bits": "hot"}, [0, 3]),
    ],
)
def test_flags_exclude_by_bits_or_names(read, tmp_path, text, options, excluded):
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE), fits.ImageHDU(FLAGS, name="Q"))
    frames = read(path, f'[flags]\nextension = "Q"\n{text}', **options)
    assert frames.mask[0, 0].nonzero()[0].tolist() == excluded
    assert frames.mask.sum() == len(excluded)


def test_flags_have_the_instrument_s_names_unless_the_mapping_has_some(read, tmp_path):
    primary = fits.PrimaryHDU(CUBE)
    primary.header["TELESCOP"] = "JWST"
    path = write_hdus(tmp_path / "a.fits", primary, fits.ImageHDU(FLAGS))
    assert read(path, '[flags]\nextension = 1\nbits = "JUMP_DET"').mask[0, 0].nonzero()[0].tolist() == [2]


@pytest.mark.parametrize(("excluded", "count"), [("nonzero", 1), ("zero", 34)])
def test_a_mask_has_the_polarity_that_the_mapping_says(read, tmp_path, excluded, count):
    mask = np.zeros((5, 7), np.uint8)
    mask[1, 2] = 1
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE), fits.ImageHDU(mask))
    frames = read(path, f'[mask]\nextension = 1\nexcluded = "{excluded}"')
    assert frames.mask.sum() == 3 * count
    assert frames.mask[0, 1, 2] == (excluded == "nonzero")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('key = "ANG"', [10, 10, 10]),
        ('key = "ANG"\nend_key = "LAST"', [11, 13, 15]),
        ('key = "ANG"\nend_key = "LAST"\nsign = -1\noffset = 2', [-9, -11, -13]),
        ("value = 5", [5, 5, 5]),
        ('column = "PA"\noffset = 0.5', [1.5, 2.5, 3.5]),
        ('file = "pa.txt"\nsign = -1', [-7, -8, -9]),
        ('file = "{stem}_pa.txt"', [7, 8, 9]),
        ("sign = 1", [4, 5, 6]),
    ],
)
def test_the_angle_comes_from_where_the_mapping_says(read, tmp_path, text, expected):
    primary = fits.PrimaryHDU(CUBE)
    primary.header.update({"ANG": 10.0, "LAST": 16.0})
    table = fits.table_to_hdu(Table({"PA": [1.0, 2.0, 3.0], "ANGLE": [4.0, 5.0, 6.0]}))
    path = write_hdus(tmp_path / "night.v2.fits", primary, table)
    for name in ("pa.txt", "night_pa.txt"):
        (tmp_path / name).write_text("7\n8\n9\n")
    np.testing.assert_allclose(read(path, f"[angle]\n{text}").angles, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[center]\nkeys = ["SX", "SY"]', (3.5, 2.0)),
        ('[center]\nkeys = ["SX", "SY"]\nfirst_pixel = 0', (4.5, 3.0)),
        ("[center]\nposition = [3, 1.5]", (3.0, 1.5)),
        ("[data]\ntrim = { x = [1, 7], y = [2, 5] }\n[center]\nposition = [3, 2.5]", (2.0, 0.5)),
        ('[data]\ntrim = { y = [1, 5] }\n[center]\nkeys = ["SX", "SY"]', (3.5, 1.0)),
    ],
)
def test_the_star_is_where_the_mapping_says_in_pixels_before_trimming(read, cube, text, expected):
    assert read(cube, text).geometry.center == expected
    assert read(cube, text, center=(1, 1)).geometry.center == (1.0, 1.0)


def test_pixels_names_and_references_are_as_the_mapping_says(read, cube):
    text = '[pixels]\nscale_key = "SCL"\nparity = -1\n[frames]\nname_key = "TARGET"\n'
    frames = read(cube, text + 'reference_key = "ROLE"\nreference_value = "CALIB"')
    assert (frames.geometry.pixel_scale, frames.geometry.parity) == (0.03, -1)
    assert frames.names[0] == "HD 1 0"
    assert frames.is_reference.all()
    assert not read(cube, '[frames]\nreference_key = "ROLE"\nreference_value = 3').is_reference.any()


def test_what_is_given_in_the_call_stands_above_the_mapping(read, cube):
    text = "[pixels]\nscale = 0.5\nparity = -1\n[angle]\nvalue = 3\nsign = -1\noffset = 9"
    frames = read(cube, text, pixel_scale=0.1, parity=1, angles=[1.0, 2.0, 3.0])
    assert (frames.geometry.pixel_scale, frames.geometry.parity) == (0.1, 1)
    assert frames.angles.tolist() == [1.0, 2.0, 3.0]
    assert read(cube, text, angle_key="ANG").angles.tolist() == [10.0] * 3


@pytest.mark.parametrize(("card", "unit"), [("ADU", u.adu), ("mJy", u.mJy)])
def test_the_unit_is_in_the_header_or_the_mapping(read, tmp_path, card, unit):
    path = write_cube(tmp_path / "a.fits", CUBE, BUNIT="Jy", UNITS=card)
    assert read(path, "").unit == u.Jy
    assert read(path, '[data]\nunit_key = "UNITS"').unit == unit
    assert read(path, f'[data]\nunit = "{card}"').unit == unit


# What it may not


MISTAKES = {
    "a section": ("[dat]\nextension = 1", "no section is called 'dat'; there are data, error, flags, mask, angle"),
    "a key": ("[error]\nextention = 1", r"no key in \[error\] is called 'extention'; there are extension, kind"),
    "a key beside the sections": ("extension = 1", "no section is called 'extension'"),
    "a section that is a value": ("data = 3", r"\[data\] must be a section, got 3"),
    "a type": ("[data]\nunit = 3", r"unit in \[data\] must be a text, got 3"),
    "a truth": ("[angle]\nvalue = true", r"value in \[angle\] must be a whole number or a number, got True"),
    "a fraction": ("[pixels]\nparity = 1.0", r"parity in \[pixels\] must be a whole number, got 1\.0"),
    "a choice": ('[error]\nkind = "std"', r"kind in \[error\] must be one of 'sigma', 'variance', 'inverse variance'"),
    "a sign": ("[angle]\nsign = 2\nvalue = 1", r"sign in \[angle\] must be one of 1, -1, got 2"),
    "axes": ('[data]\naxes = "nnx"', r"axes in \[data\] must be one of 'nyx'"),
    "two angles": ('[angle]\nvalue = 1\nkey = "A"', r"\[angle\] has key and value, which say the same thing"),
    "two scales": ('[pixels]\nscale = 1\nscale_key = "A"', r"\[pixels\] has scale and scale_key"),
    "two units": ('[data]\nunit = "Jy"\nunit_key = "A"', r"\[data\] has unit and unit_key"),
    "two centres": ('[center]\nposition = [1, 1]\nkeys = ["A", "B"]', r"\[center\] has keys and position"),
    "an end": ('[angle]\nend_key = "A"\nvalue = 1', r"end_key in \[angle\] needs key beside it"),
    "half a reference": (
        '[frames]\nreference_key = "A"',
        r"reference_key in \[frames\] needs reference_value",
    ),
    "half a value": ("[frames]\nreference_value = 1", r"reference_value in \[frames\] needs reference_key beside it"),
    "a first pixel": (
        "[center]\nfirst_pixel = 0\nposition = [1, 1]",
        r"first_pixel in \[center\] needs keys",
    ),
    "a unit": ('[data]\nunit = "foo"', r"unit in \[data\] must be a unit that astropy\.units knows, got 'foo'"),
    "a flag of two bits": ("[flags]\nnames = { HOT = 3 }", r"names in \[flags\]: Value '3' is not a valid bit flag"),
    "a flag of no bit": ("[flags]\nnames = { HOT = 0 }", r"names in \[flags\]: Value '0' is not a valid bit flag"),
    "two flags of one name": ("[flags]\nnames = { HOT = 1, hot = 2 }", r"names in \[flags\]: "),
    "not TOML": ("[data", "not TOML"),
}


@pytest.mark.parametrize(("text", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_mapping_is_told_with_its_name(read, cube, text, message):
    with pytest.raises(FormatError, match=rf"mapping\.toml: .*{message}|mapping\.toml: {message}") as error:
        read(cube, text)
    assert "\n" not in str(error.value)


ASKED = {
    "an extension": ('[data]\nextension = "SCI"', r"no extension 'SCI'; there are 0 \(PRIMARY\)"),
    "an extension's number": ("[error]\nextension = 3", r"no extension 3; there are 0 \(PRIMARY\)"),
    "an angle": ('[angle]\nkey = "PA"', "the header has no PA; correct the mapping"),
    "an end": ('[angle]\nkey = "ANG"\nend_key = "PB"', "the header has no PB; correct the mapping"),
    "a number": ('[angle]\nkey = "TARGET"', "TARGET must be a number, got 'HD 1'; correct the mapping"),
    "a star": ('[center]\nkeys = ["SX", "SZ"]', "the header has no SZ; correct the mapping"),
    "three keys": ('[center]\nkeys = ["SX", "SY", "SY"]', r"\[center\] must have two keywords"),
    "a text for a place": ('[center]\nposition = ["SX", 1]', r"\[center\] must have two numbers"),
    "a scale": ('[pixels]\nscale_key = "S"', "the header has no S; correct the mapping"),
    "a name": ('[frames]\nname_key = "N"', "the header has no N; correct the mapping"),
    "a role": ('[frames]\nreference_key = "R"\nreference_value = 1', "the header has no R; correct the mapping"),
    "an axis": ("[data]\ntrim = { z = [0, 1] }", "trim must be {x = .first, end., y = .first, end.}"),
    "too much": ("[data]\ntrim = { x = [0, 8] }", "trim must be .*, from 0 to 7 along x"),
    "nothing": ("[data]\ntrim = { y = [3, 3] }", "trim must be .*, from 0 to 5 along y"),
    "not a pair": ("[data]\ntrim = { y = 3 }", "trim must be"),
    "fractions": ("[data]\ntrim = { y = [0.0, 2.0] }", "trim must be"),
    "two axes": ('[data]\naxes = "yx"', r"the mapping's axes 'yx' do not fit an array of shape \(3, 5, 7\)"),
}


@pytest.mark.parametrize(("text", "message"), ASKED.values(), ids=ASKED)
def test_what_a_file_does_not_have_is_told_with_its_name(read, cube, text, message):
    with pytest.raises(FormatError, match=rf"cube\.fits.*{message}"):
        read(cube, text)


@pytest.mark.parametrize("section", ["data", "error", "flags", "mask"])
def test_an_extension_that_is_no_image_is_told_of(read, tmp_path, section):
    table = fits.table_to_hdu(Table({"A": [1.0]}))
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE), table, fits.ImageHDU(np.ones(3), name="LINE"))
    for name in ("1", '"LINE"'):
        with pytest.raises(FormatError, match=r"a\.fits \[.*\]: must be an image of 2 or 3 axes"):
            read(path, f"[{section}]\nextension = {name}")


@pytest.mark.parametrize("section", ["error", "flags", "mask"])
def test_an_array_of_another_shape_is_told_of(read, tmp_path, section):
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE), fits.ImageHDU(np.ones((2, 5, 7), "i2")))
    with pytest.raises(ValueError, match=r"must be of shape \(3, 5, 7\), or one that broadcasts to it"):
        read(path, f"[{section}]\nextension = 1")


def test_an_unknown_flag_is_told_with_the_mapping_s_names(read, tmp_path):
    path = write_hdus(tmp_path / "a.fits", fits.PrimaryHDU(CUBE), fits.ImageHDU(FLAGS))
    with pytest.raises(ValueError, match=r"'dq_bits' must be an integer, or names of flags \(HOT\), got 'COLD'"):
        read(path, '[flags]\nextension = 1\nbits = "COLD"\nnames = { HOT = 1 }')


def test_a_mapping_that_is_not_there_is_told_of(cube, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.toml: no such file"):
        Frames.read(cube, mapping=tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(FormatError, match=r"latin\.toml: not TOML"):
        Frames.read(cube, mapping=tmp_path / "latin.toml")


def test_the_tables_of_keys_agree():
    for section, key in [*CHOICES, *NEEDED]:
        assert key in KEYS[section]
    assert all(set(keys) <= set(KEYS[section]) for section, keys in ALTERNATIVES.items())
    assert all(needed in KEYS[section] for (section, _), needed in NEEDED.items())
