"""`plot_posterior`: the samples of a fit's parameters against each other."""

from __future__ import annotations

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from astronmf._typing import FloatArray
from astronmf._validation import fail
from astronmf.imaging.modelling.parameters import UNITS
from astronmf.imaging.modelling.sampling import Posterior
from astronmf.plotting.stretch import number_label
from astronmf.plotting.style import ACCENT_COLOR, LINE_COLOR, house_style
from astronmf.plotting.words import counted

__all__ = ["plot_posterior"]

PANEL = 1.9  # inches
PERCENTILES = (15.865, 50.0, 84.135)
RANGE = 0.997  # of the samples that a panel shows
LEVELS = (0.393, 0.865)  # what one and two standard deviations of a Gaussian in two dimensions hold
WORDS = {"pix": "pixel"}  # units as figures write them


@house_style()
def plot_posterior(posterior: Posterior, *, discard: int | None = None, amplitudes: bool = True) -> Figure:
    """Draw a corner plot: the samples of each pair of parameters, and the distribution of each.

    Needs the extra ``fit``: ``pip install 'astronmf[fit]'``.

    Parameters
    ----------
    posterior : Posterior
    discard : int, optional
        First steps to leave out; its `burn_in` by default.
    amplitudes : bool
        Whether to draw the amplitudes too; see `Posterior.flat`.

    Returns
    -------
    matplotlib.figure.Figure
        Dashed lines are median and 68.3 %, contours hold 39.3 and 86.5 % (one and two standard deviations in two
        dimensions); the most probable sample is marked in orange.

    Raises
    ------
    ValueError
        If fewer samples are left than there are parameters.
    """
    import corner

    samples = posterior.flat(discard, amplitudes=amplitudes)
    names = posterior.columns[: samples.shape[1]]
    varied = np.ptp(samples, axis=0) > 0  # an amplitude that is 0 throughout has no distribution to be drawn
    samples, names = samples[:, varied], [name for name, chosen in zip(names, varied, strict=True) if chosen]
    if len(samples) <= len(names):
        raise fail("posterior", f"of more than {len(names)} samples", len(samples))
    best = np.concatenate([posterior.best, posterior.best_amplitudes])[: len(varied)][varied]
    size = PANEL * len(names) + 1.2
    figure: Figure = corner.corner(
        samples,
        labels=[_label(name, several=len({name.partition(".")[0] for name in names}) > 1) for name in names],
        quantiles=[share / 100 for share in PERCENTILES],
        levels=LEVELS,
        truths=list(best) if len(names) > 1 else None,  # corner cannot mark the one value of a single panel
        truth_color=ACCENT_COLOR,
        color=LINE_COLOR,
        smooth=0.8,
        hist_kwargs={"linewidth": 1.5},
        plot_datapoints=False,
        fill_contours=True,
        label_kwargs={"fontsize": 11.0},
        range=[RANGE] * len(names),
        fig=Figure(figsize=(size, size)),
    )
    _finish(figure, samples, names)
    steps, walkers, _ = posterior.samples.shape
    about = counted(steps, "step"), counted(walkers, "walker"), f"acceptance {posterior.acceptance:.2f}"
    if len(names) == 1:
        figure.axes[0].axvline(best[0], color=ACCENT_COLOR)
    place = (0.97, 0.96) if len(names) > 1 else (0.97, 1.25)  # the empty corner; above where there is none
    figure.text(*place, "\n".join(about), ha="right", va="top", fontsize=11.0)
    return figure


def _label(name: str, *, several: bool) -> str:
    """Return a parameter's name in words, with its unit."""
    source, _, parameter = name.partition(".")
    unit = UNITS.get(parameter)
    words = parameter.replace("_", " ") + (f" [{WORDS.get(unit, unit)}]" if unit else "")
    words = f"{source}\n{words}" if several else words
    return words.replace("$", r"\$")


def _finish(figure: Figure, samples: FloatArray, names: list[str]) -> None:
    """Write median and errors above the diagonal, and make ticks plain."""
    count = len(names)
    grid = np.array(figure.axes, dtype=object).reshape(count, count)
    for i in range(count):
        low, middle, high = np.percentile(samples[:, i], PERCENTILES)
        grid[i, i].set_title(_value(middle, middle - low, high - middle), fontsize=11.0)
    for axes in grid[-1]:
        _plain_ticks(axes.xaxis)
    for axes in grid[1:, 0]:
        _plain_ticks(axes.yaxis)


def _plain_ticks(axis: Axis) -> None:
    """Let a few ticks have plain numbers."""
    axis.set_major_locator(MaxNLocator(3, prune="both"))
    axis.set_major_formatter(FuncFormatter(number_label))


def _value(middle: float, lower: float, upper: float) -> str:
    """Return a value with both errors, to two digits of the smaller one."""
    digits = max(0, 1 - int(np.floor(np.log10(min(lower, upper))))) if min(lower, upper) > 0 else 3
    return rf"${middle:.{digits}f}_{{-{lower:.{digits}f}}}^{{+{upper:.{digits}f}}}$"
