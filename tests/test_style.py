"""The linter, the formatter and the type checker pass on the whole tree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "command", [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)], ids=["lint", "format", "types"]
)
def test_the_tree_passes(command):
    call = [sys.executable, "-m", *command]
    found = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 (our own tools)
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-2000:]
