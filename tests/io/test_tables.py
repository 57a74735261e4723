import astropy.units as u
import numpy as np
import pytest
from astropy.table import QTable
from imaging_helpers import files_in

from astronmf.exceptions import FormatError
from astronmf.io.tables import read_table, write_table


@pytest.fixture
def table():
    found = QTable({"separation": [1.5, 2.5] * u.pix, "contrast": [[1e-3, np.nan], [1e-4, 0.1]]})
    found.meta |= {"method": "matched", "companions": [{"flux": 1.25}], "star": None}
    return found


def test_a_table_comes_back_as_it_was(tmp_path, table):
    write_table(table, tmp_path / "a.ecsv")
    back = read_table(tmp_path / "a.ecsv")
    assert dict(back.meta) == dict(table.meta)
    np.testing.assert_array_equal(back["separation"], table["separation"])
    np.testing.assert_array_equal(back["contrast"], table["contrast"])
    assert files_in(tmp_path) == ["a.ecsv"]


def test_a_file_that_is_there_is_kept_unless_overwriting_is_asked_for(tmp_path, table):
    (tmp_path / "a.ecsv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"a\.ecsv exists"):
        write_table(table, tmp_path / "a.ecsv")
    assert (tmp_path / "a.ecsv").read_text() == "mine"
    write_table(table, tmp_path / "a.ecsv", overwrite=True)
    assert len(read_table(tmp_path / "a.ecsv")) == 2


def test_other_names_are_refused(tmp_path, table):
    with pytest.raises(ValueError, match=r"a\.csv: a table's name ends in \.ecsv"):
        write_table(table, tmp_path / "a.csv")
    assert files_in(tmp_path) == []


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path, table):
    table.meta["odd"] = object()
    with pytest.raises(Exception, match="object"):
        write_table(table, tmp_path / "a.ecsv")
    assert files_in(tmp_path) == []


def test_what_is_not_there_or_no_table_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.ecsv: no such file"):
        read_table(tmp_path / "a.ecsv")
    (tmp_path / "b.ecsv").write_text("1 2 3\n")
    with pytest.raises(FormatError, match=r"b\.ecsv: cannot be read as an ECSV table"):
        read_table(tmp_path / "b.ecsv")
