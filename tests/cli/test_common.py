import matplotlib.figure
import pytest

from astronmf.cli.common import progress_bar, save_figure, spread

SPREADS = {
    "nothing to spread": ("a b -o c", "a b -o c"),
    "one value": ("a -r b", "a -r b"),
    "several values": ("a -r b c d", "a -r b -r c -r d"),
    "the long name": ("a --references b c -k 3", "a --references b --references c -k 3"),
    "up to the next option": ("a --references b c -o d e", "a --references b --references c -o d e"),
    "twice": ("-r a b -k 3 -r c d", "-r a -r b -k 3 -r c -r d"),
    "no value": ("a -r -k 3", "a -r -k 3"),
    "with an equals sign": ("a --references=b c", "a --references=b --references c"),
    "after a double dash": ("-r b -- c", "-r b -- c"),
}


@pytest.mark.parametrize(("given", "expected"), SPREADS.values(), ids=SPREADS)
def test_a_list_option_takes_all_that_follows_it(given, expected):
    assert spread(given.split()) == expected.split()


def test_a_dash_alone_is_a_value():
    assert spread(["-r", "a", "-"]) == ["-r", "a", "-r", "-"]


def test_the_bar_takes_any_number_of_tasks_and_says_nothing_in_a_pipe(capsys):
    with progress_bar() as advance:
        for what in ("components", "numbers of components"):
            for done in (1, 2, 3):
                advance(done, 3, what)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_figure_is_written_in_the_format_of_its_name(tmp_path, suffix):
    save_figure(matplotlib.figure.Figure(), tmp_path / f"a{suffix}", overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == [f"a{suffix}"]


def test_a_figure_of_an_unknown_format_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"a\.xyz: a figure's name ends in \.png, \.pdf or \.svg"):
        save_figure(matplotlib.figure.Figure(), tmp_path / "a.xyz", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_cannot_be_drawn_leaves_nothing(tmp_path, monkeypatch):
    figure = matplotlib.figure.Figure()

    def broken(path, **_):
        path.write_bytes(b"half")
        raise RuntimeError

    monkeypatch.setattr(figure, "savefig", broken)
    with pytest.raises(RuntimeError):
        save_figure(figure, tmp_path / "a.png", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_is_there_is_kept(tmp_path):
    (tmp_path / "a.png").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        save_figure(matplotlib.figure.Figure(), tmp_path / "a.png", overwrite=False)
    assert (tmp_path / "a.png").read_bytes() == b"mine"
