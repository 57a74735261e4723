"""The code of docs/neighbours.md, run as it stands there, and what that page says that it gives.

All Python blocks of the page, in its order and in one namespace, on the beta Pic frames. Those on applefy are left out,
and it is said so, where photutils is too new for applefy.

Needs VIP, applefy and pyKLIP (``pip install "astronmf[benchmark]"``); takes several minutes.

    ASTRONMF_REALDATA=… python -m benchmarks.neighbours
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.betapic import BetaPic, truth

PAGE = Path(__file__).parents[1] / "docs" / "neighbours.md"
SECTION = re.compile(r"^## (.*)$")
FIRST_WITHOUT_QUANTITIES = (2, 1)  # of photutils: no apertures at quantities, as applefy has them, from here on

Namespace = dict[str, Any]
Block = tuple[str, int, str]  # section, line of the page, code


def blocks(page: str) -> list[Block]:
    """Return the page's Python blocks in order; the section before the first heading is ""."""
    found, section, code = [], "", None
    for number, text in enumerate(page.splitlines(), start=1):
        if code is None:
            heading = SECTION.match(text)
            section = heading[1] if heading else section
            code = [] if text == "```python" else None
        elif text == "```":
            found.append((section, number - len(code), "\n".join(code)))
            code = None
        else:
            code.append(text)
    return found


def run(block: Block, namespace: Namespace) -> None:
    """Execute a block; an error names its place in the page."""
    _, line, code = block
    with redirect_stdout(sys.stderr):  # VIP and applefy tell of their progress
        exec(compile("\n" * (line - 1) + code, PAGE.name, "exec"), namespace)


def vip(found: Namespace) -> list[str]:
    """Return what the VIP section says of its contrast curve and companion fit."""
    curve, fwhm = found["curve"], found["fwhm"]
    beyond = np.asarray(curve["sensitivity_student"], dtype=float)[np.asarray(curve["distance"]) > 2 * fwhm]
    r, angle, flux = (float(found[name][0]) for name in ("r", "position_angle", "flux"))
    removed, _ = truth(BetaPic.find(), fwhm)
    return [
        f"curve: finite at {np.isfinite(beyond).sum()} of {len(beyond)} separations beyond 2 FWHM",
        f"companion: {r:.2f} px, position angle {angle:.1f} degrees, flux {flux:.0f}; template's FWHM {fwhm:.1f} px",
        f"taken out of the cube without planet: {removed:.0f} in an aperture of one FWHM; ratio {flux / removed:.2f}",
    ]


def applefy(found: Namespace) -> list[str]:
    """Return the table of 5 sigma contrasts."""
    limits = found["limits"]
    numbers = [name.strip("NMF ()").removesuffix(" components").lstrip("0") for name in limits.columns]
    lines = [f"5 sigma contrast, {len(found['contrast'].experimental_setups)} experiments:", ""]
    lines += [f"| separation | {' | '.join(f'{number} components' for number in numbers)} |"]
    lines += ["|---" * (len(numbers) + 1) + "|"]
    for (in_fwhm, in_arcsec), row in limits.iterrows():
        values = " | ".join(f"{float(value):.1e}" for value in row)
        lines.append(f"| {in_fwhm:g} FWHM, {in_arcsec:.2f}″ | {values} |")
    return lines


def pyklip(found: Namespace) -> list[str]:
    """Return the sizes of what went through pyKLIP and came back; the page's code has compared the values."""
    went = f"{len(found['science'])} frames and {len(found['references'])} reference frames"
    return [f"{went} went into pyKLIP's classes and came back the same"]


SAID: dict[str, Callable[[Namespace], list[str]]] = {"VIP": vip, "applefy": applefy, "pyKLIP": pyklip}


def too_new_for_applefy() -> bool:
    """Return whether photutils refuses the positions of apertures that applefy gives it."""
    return tuple(int(part) for part in version("photutils").split(".")[:2]) >= FIRST_WITHOUT_QUANTITIES


def main() -> None:
    """Run the page, and print what each of its sections gives."""
    mpl.use("agg")
    warnings.simplefilter("ignore")  # VIP and applefy warn of their own code
    print(", ".join(f"{name} {version(name)}" for name in ("vip_hci", "applefy", "pyklip", "photutils")), flush=True)
    namespace: Namespace = {"__name__": "neighbours"}
    for section, members in groupby(blocks(PAGE.read_text(encoding="utf-8")), key=lambda block: block[0]):
        if section == "applefy" and too_new_for_applefy():
            print("\napplefy: left out, it needs photutils < 2.1", flush=True)
            continue
        for block in members:
            run(block, namespace)
        if section in SAID:
            print("", f"{section}:", *SAID[section](namespace), sep="\n", flush=True)


if __name__ == "__main__":
    main()
