"""The page on preparation does what it says."""

import re
from pathlib import Path

import numpy as np

PAGE = Path(__file__).parents[3] / "docs" / "preparation.md"


def test_the_examples_run_and_find_the_star(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 (our own page)
    frames = names["frames"]
    assert frames.shape == (4, 51, 51)
    centers = np.array(frames.meta["preparation"][2]["centers"])
    np.testing.assert_allclose(centers, names["truth"], atol=0.01)
    assert frames.meta["preparation"][0]["masked"] == [1, 1, 1, 1, 2] + [1] * 7
    assert names["best"].shape == (2, 51, 51)
    assert (tmp_path / "prepared.fits").exists()
