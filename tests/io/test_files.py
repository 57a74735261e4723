import tempfile

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from imaging_helpers import files_in, write_cube, write_hdus

from astronmf import Components
from astronmf.datasets import simulated_path
from astronmf.exceptions import FormatError
from astronmf.imaging import Frames, Reduction
from astronmf.io.files import (
    check_writable,
    from_ascii,
    open_fits,
    read_angles,
    read_mask,
    read_psf,
    sha256,
    to_ascii,
    write_atomically,
    write_fits,
)

ANGLES = np.array([1.0, 20.5, -300.25])


def primary(value=0.0):
    return fits.PrimaryHDU(np.full((3, 3), value))


class Trouble(Exception):
    """What a test raises in the middle of writing."""


def fail_after_writing(monkeypatch, error):
    """Let every FITS file be written in full, and then fail."""
    write = fits.HDUList.writeto

    def broken(self, *args, **options):
        write(self, *args, **options)
        raise error

    monkeypatch.setattr(fits.HDUList, "writeto", broken)


def test_what_is_written_has_valid_checksums(tmp_path):
    path = tmp_path / "a.fits"
    write_fits([primary(), fits.ImageHDU(np.arange(5.0))], path, overwrite=False)
    with fits.open(path, checksum=True) as hdus:  # a wrong checksum warns, and warnings are errors here
        assert all("CHECKSUM" in hdu.header and "DATASUM" in hdu.header for hdu in hdus)


def test_a_file_that_is_there_is_kept_unless_overwriting_is_asked_for(tmp_path):
    path = tmp_path / "a.fits"
    write_fits([primary(1)], path, overwrite=False)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"a\.fits exists; ask for overwriting to replace it"):
        write_fits([primary(2)], path, overwrite=False)
    assert path.read_bytes() == before
    write_fits([primary(2)], path, overwrite=True)
    assert fits.getdata(path).max() == 2
    assert files_in(tmp_path) == ["a.fits"]


ERRORS = {"OSError": OSError("disk full"), "KeyboardInterrupt": KeyboardInterrupt(), "another": Trouble()}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_failure_while_writing_leaves_nothing(tmp_path, monkeypatch, error):
    fail_after_writing(monkeypatch, error)
    with pytest.raises(type(error)):
        write_fits([primary()], tmp_path / "a.fits", overwrite=False)
    assert files_in(tmp_path) == []


def test_a_failure_while_overwriting_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.fits"
    write_fits([primary(1)], path, overwrite=False)
    before = path.read_bytes()
    fail_after_writing(monkeypatch, OSError("disk full"))
    with pytest.raises(OSError, match="disk full"):
        write_fits([primary(2)], path, overwrite=True)
    assert path.read_bytes() == before
    assert files_in(tmp_path) == ["a.fits"]


def test_a_file_is_not_there_before_it_is_complete(tmp_path):
    path = tmp_path / "a.txt"
    with write_atomically(path, overwrite=False) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        assert temporary.parent == tmp_path
    assert path.read_text() == "half"


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path):
    write_fits([primary()], tmp_path / "a.fits", overwrite=False)
    (tmp_path / "b").touch()
    assert (tmp_path / "a.fits").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder to write a\.fits into"):
        write_fits([primary()], tmp_path / "nowhere" / "a.fits", overwrite=False)


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileNotFoundError, match=r"file: no such folder to write a\.fits into"):
        write_fits([primary()], tmp_path / "file" / "a.fits", overwrite=False)


def refuse(**_):
    raise PermissionError(13, "Permission denied")


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)  # root may write anywhere
    with pytest.raises(PermissionError, match=r"a\.fits cannot be written into this folder \(Permission denied\)"):
        write_fits([primary()], tmp_path / "a.fits", overwrite=False)


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_is_not_a_file_to_write_to(tmp_path, overwrite):
    with pytest.raises(OSError, match=str(tmp_path)):
        check_writable(tmp_path, overwrite=overwrite)
    assert tmp_path.is_dir()


BROKEN = {
    "empty": b"",
    "text": b"RA DEC\n1 2\n",
    "random": np.random.default_rng(1).bytes(5000),
    "random with a FITS beginning": b"SIMPLE  =                    T" + np.random.default_rng(2).bytes(9000),
    "a FITS beginning": b"SIMPLE  =                    T",
    "a block of blanks": b"SIMPLE  =                    T".ljust(2880),
    "a header without an end": b"SIMPLE  =                    T".ljust(80) * 36,
    "image sizes without data": b"".join(
        card.ljust(80)
        for card in (
            b"SIMPLE  =                    T",
            b"BITPIX  =                  -32",
            b"NAXIS   =                    2",
            b"NAXIS1  =                  100",
            b"NAXIS2  =                  100",
            b"END",
        )
    ).ljust(2880),
    "nonsense for a size": b"".join(
        card.ljust(80)
        for card in (b"SIMPLE  =                    T", b"BITPIX  =                   17", b"NAXIS   =   two", b"END")
    ).ljust(2880),
}

every_kind = pytest.mark.parametrize("kind", [Frames, Components, Reduction])


def assert_one_line_with(error, path):
    """Check that a message names the file, in one line."""
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@every_kind
@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_not_fits_is_told_in_a_line_that_names_it(tmp_path, kind, content):
    path = tmp_path / "broken.fits"
    path.write_bytes(content)
    with pytest.raises(FormatError) as error:
        kind.read(path)
    assert_one_line_with(error, path)


@every_kind
@pytest.mark.parametrize("named", [None, "fits"])
def test_a_file_that_is_not_there_is_named(tmp_path, kind, named):
    with pytest.raises(FileNotFoundError, match=r"nothing\.fits: no such file") as error:
        kind.read(tmp_path / "nothing.fits", format=named)
    assert_one_line_with(error, tmp_path)


@every_kind
def test_a_folder_is_not_a_file_to_read(tmp_path, kind):
    with pytest.raises(FormatError) as error:
        kind.read(tmp_path)
    assert_one_line_with(error, tmp_path)


@every_kind
@pytest.mark.parametrize("content", [b"", BROKEN["random"], BROKEN["a FITS beginning"]])
def test_a_named_format_does_not_make_a_file_what_it_is_not(tmp_path, kind, content):
    path = tmp_path / "broken.fits"
    path.write_bytes(content)
    with pytest.raises(FormatError) as error:
        kind.read(path, format="fits")
    assert_one_line_with(error, path)


@every_kind
def test_an_unknown_format_names_those_that_are_known(tmp_path, kind):
    path = write_cube(tmp_path / "a.fits", np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"'format' must be one of .*'fits'.*, got 'hdf5'"):
        kind.read(path, format="hdf5")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, reduction, components, observation):
    """Return the bytes of a file of each kind."""
    folder = tmp_path_factory.mktemp("whole")
    contents = {Reduction: reduction, Components: components, Frames: observation.science_frames()}
    for kind, content in contents.items():
        content.write(folder / f"{kind.__name__}.fits")
    return {kind: (folder / f"{kind.__name__}.fits").read_bytes() for kind in contents}


@every_kind
@pytest.mark.parametrize("share", [0.001, 0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.99])
def test_a_truncated_file_is_told_in_a_line_that_names_it(tmp_path, whole, kind, share):
    content = whole[kind]
    path = tmp_path / "cut.fits"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FormatError) as error:
        kind.read(path)
    assert_one_line_with(error, path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_file_of_compressed_images_is_told_of(tmp_path, share):
    path = tmp_path / "compressed.fits"
    noise = np.random.default_rng(1).normal(size=(4, 33, 33)).astype("f4")
    write_hdus(path, fits.CompImageHDU(noise, name="SCI"))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FormatError) as error:
        Frames.read(path)
    assert_one_line_with(error, path)


@pytest.mark.parametrize("kind", [Components, Reduction])
def test_frames_are_neither_components_nor_a_reduction(tmp_path, whole, kind):
    path = tmp_path / "frames.fits"
    path.write_bytes(whole[Frames])
    with pytest.raises(FormatError, match=r"frames\.fits: not .* \(it has no extension "):
        kind.read(path)


def test_an_opened_file_is_closed_again(tmp_path):
    path = write_cube(tmp_path / "a.fits", np.zeros((3, 3)))
    hdus = open_fits(path)
    path.unlink()
    assert hdus[0].data.shape == (3, 3)


def test_the_hash_is_that_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def angle_table(name="ANGLE"):
    return fits.table_to_hdu(Table({name: ANGLES, "OTHER": [9.0, 9.0, 9.0]}))


ANGLE_HDUS = {
    "one axis": fits.PrimaryHDU(ANGLES),
    "a row": fits.PrimaryHDU(ANGLES[None]),
    "a column": fits.PrimaryHDU(ANGLES[:, None]),
    "an extension": fits.ImageHDU(ANGLES),
    "single precision": fits.PrimaryHDU(ANGLES.astype("f4")),
    "a table": angle_table(),
}


@pytest.mark.parametrize("hdu", ANGLE_HDUS.values(), ids=ANGLE_HDUS)
def test_angles_are_read_from_fits(tmp_path, hdu):
    np.testing.assert_array_equal(read_angles(write_hdus(tmp_path / "a.fits", hdu)), ANGLES)


@pytest.mark.parametrize("text", ["1.0\n20.5\n-300.25\n", "1 20.5 -300.25", "# angles\n1\n20.5\n-300.25\n"])
def test_angles_are_read_from_text(tmp_path, text):
    path = tmp_path / "a.txt"
    path.write_text(text)
    np.testing.assert_array_equal(read_angles(path), ANGLES)


@pytest.mark.parametrize("content", [b"north up\n", b"\xff\xfe\x00\x81", b""])
def test_what_holds_no_angles_is_told_of(tmp_path, content):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(FormatError) as error:
        read_angles(path)
    assert_one_line_with(error, path)


def test_a_fits_file_without_any_array_holds_no_angles(tmp_path):
    with pytest.raises(FormatError, match="holds no array or table of angles"):
        read_angles(write_hdus(tmp_path / "a.fits", fits.PrimaryHDU()))


def test_a_file_of_angles_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.fits: no such file"):
        read_angles(tmp_path / "a.fits")


@pytest.mark.parametrize("kind", ["u1", ">i2", "f4", "f8"])
def test_anything_but_0_in_a_mask_is_excluded(tmp_path, kind):
    values = np.array([[0, 1], [2, 0]], kind)
    np.testing.assert_array_equal(read_mask(write_cube(tmp_path / "a.fits", values)), [[0, 1], [1, 0]])


def test_a_mask_may_be_in_an_extension(tmp_path):
    path = write_hdus(tmp_path / "a.fits", angle_table(), fits.ImageHDU(np.eye(3)))
    np.testing.assert_array_equal(read_mask(path), np.eye(3))


def test_a_file_without_an_image_is_no_mask(tmp_path):
    with pytest.raises(FormatError, match="holds no image to use as a mask"):
        read_mask(write_hdus(tmp_path / "a.fits", angle_table()))


def header_bounds(content):
    """Return where the header of each extension begins and ends."""
    blocks = range(0, len(content), 2880)
    starts = [i for i in blocks if content[i : i + 8] == b"XTENSION"]
    ends = [i + 2880 for i in blocks if b"END".ljust(77) in content[i : i + 2880]]
    return [(start, min(end for end in ends if end > start)) for start in starts]


@every_kind
def test_a_file_cut_within_any_header_is_never_read_as_if_the_rest_had_not_been(tmp_path, whole, kind):
    content, path = whole[kind], tmp_path / "cut.fits"
    for start, end in header_bounds(content):
        for cut in (start + 100, (start + end) // 2, end - 1):
            path.write_bytes(content[:cut])
            with pytest.raises(FormatError):
                kind.read(path)


@pytest.mark.parametrize("kind", [Components, Reduction])
def test_a_file_cut_anywhere_before_its_last_extension_is_never_read_in_part(tmp_path, whole, kind):
    content, path = whole[kind], tmp_path / "cut.fits"
    for end in range(2880, header_bounds(content)[-1][0], 2880 * 4):
        path.write_bytes(content[:end])
        with pytest.raises(FormatError):
            kind.read(path)


@pytest.mark.parametrize("seed", range(15))
def test_flipped_bytes_in_a_header_end_in_one_line_or_do_no_harm(tmp_path, whole, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(whole[Components])
    start, end = header_bounds(bytes(content))[seed % 5]
    for place in rng.integers(start, end, 20):
        content[place] = rng.integers(32, 127)
    path = tmp_path / "flipped.fits"
    path.write_bytes(bytes(content))
    try:
        Components.read(path)
    except FormatError as error:
        line = str(error)
    else:
        line = str(path)
    assert str(path) in line
    assert "\n" not in line


@pytest.mark.parametrize("text", ["plain", "β Pic", "poussière", "C:\\new", "two\nlines", "{}", "\\u03b2", "日本"])
def test_any_text_can_be_kept_as_ascii_and_comes_back(text):
    kept = to_ascii(text)
    assert kept.isascii()
    assert kept.isprintable()
    assert from_ascii(kept) == text


@pytest.mark.parametrize("text", ["plain", "50% \\", "a\\", "\\x"])
def test_ascii_text_that_others_wrote_does_no_harm(text):
    assert from_ascii(text) == text


@pytest.mark.parametrize("share", [0.002, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_observation_is_told_in_a_line_that_names_it(tmp_path, share):
    content = simulated_path("science").read_bytes()
    path = tmp_path / "cut.fits"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(FormatError) as error:
        Frames.read(path)
    assert_one_line_with(error, path)


@pytest.mark.parametrize("shape", [(7, 9), (3, 7, 9)])
@pytest.mark.parametrize("kind", [">f4", ">f8", ">i2"])
def test_a_psf_is_the_first_image_or_stack_of_images(tmp_path, shape, kind):
    values = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    table = fits.BinTableHDU.from_columns([fits.Column("A", "E", array=[1.0])])
    later = fits.ImageHDU(np.ones((5, 5)))
    fits.HDUList([fits.PrimaryHDU(), table, fits.ImageHDU(values), later]).writeto(tmp_path / "psf.fits")
    found = read_psf(tmp_path / "psf.fits")
    np.testing.assert_array_equal(found, values)
    assert found.dtype == (np.float32 if kind == ">f4" else np.float64)
    assert found.dtype.isnative


def test_a_psf_has_the_unit_of_its_header(tmp_path):
    hdu = fits.PrimaryHDU(np.ones((5, 5)))
    hdu.header["BUNIT"] = "ELECTRONS/S"
    hdu.writeto(tmp_path / "psf.fits")
    found = read_psf(tmp_path / "psf.fits")
    assert found.unit == u.electron / u.s
    hdu.header["BUNIT"] = "bananas"
    hdu.writeto(tmp_path / "wrong.fits")
    with pytest.raises(FormatError, match=r"wrong\.fits: BUNIT must be a unit"):
        read_psf(tmp_path / "wrong.fits")


@pytest.mark.parametrize("values", [None, np.ones(5), np.ones((2, 3, 4, 5))], ids=["none", "row", "four"])
def test_what_holds_no_image_is_no_psf(tmp_path, values):
    fits.PrimaryHDU(values).writeto(tmp_path / "psf.fits")
    with pytest.raises(FormatError, match=r"psf\.fits: holds no image of a star"):
        read_psf(tmp_path / "psf.fits")
