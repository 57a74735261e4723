"""What a reduction leaves of a source, and whether that is exact.

The first order (`astronmf.imaging.forward`) takes the data's active components as they are. Its answer is exact as long
as those stay active once the source is taken from the data, or added to them. Whether they do is found by solving the
non-negative problem again, which costs little; what the reduction really does, by reducing again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import check_shape, fail
from astronmf.imaging.frames import Frames
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.reduced import Reduced
from astronmf.imaging.modelling.sources import Source
from astronmf.imaging.target import model_target

__all__ = ["Compared", "ForwardModel", "forward_image", "forward_model"]


class Compared:
    """An image `combined` beside the `exact` one, from reducing again, where that was done."""

    combined: FloatArray
    exact: FloatArray | None

    @property
    def difference(self) -> FloatArray | None:
        """``combined − exact``, (y, x); `None` where nothing was reduced again."""
        return None if self.exact is None else self.combined - self.exact

    @property
    def largest_difference(self) -> float:
        """The largest ``|combined − exact|`` over the largest ``|exact|``; NaN where nothing was reduced again."""
        if self.exact is None or not np.isfinite(self.exact).any():
            return float("nan")
        largest = float(np.nanmax(np.abs(self.exact)))
        off = float(np.nanmax(np.abs(self.combined - self.exact)))
        return off / largest if largest > 0 else (0.0 if off == 0 else float("inf"))


@dataclass(frozen=True, eq=False)
class ForwardModel(Compared):
    """What a reduction leaves of a source.

    Attributes
    ----------
    combined : (y, x) array
        North up, on the pixels of `Reduction.combined`; NaN where that is.
    frames : (n, y, x) array
        What remains of the source in each frame, in the detector's orientation; NaN where there are no residuals.
    sources : (n, y, x) array
        The source itself, as the detector sees it.
    same_active_set : (n,) bool array
        Whether a frame's active components are the same with and without the source, on the components that there are:
        where they are, the scale factor is not searched and the components are of other stars, `frames` is exact.
    exact : (y, x) array or None
        `combined`, from reducing again: on request.
    exact_frames : (n, y, x) array or None
        `frames`, likewise.
    """

    combined: FloatArray
    frames: FloatArray
    sources: FloatArray
    same_active_set: BoolArray
    exact: FloatArray | None = None
    exact_frames: FloatArray | None = None

    def __repr__(self) -> str:
        """Return a line that says what is inside."""
        return f"<ForwardModel: {self.summary()}>"

    def summary(self) -> str:
        """Return in words how far the model holds."""
        n, y, x = self.frames.shape
        same = int(self.same_active_set.sum())
        text = f"{n} frames of {y} x {x} pixels, active components as without the source in {same}"
        if self.exact is None:
            return text
        return f"{text}; off by {self.largest_difference:.2g} of the peak of what reducing again leaves"


def forward_image(reduction: Reduced, source: Source, observer: Observer, *, exact: bool) -> FloatArray:
    """Return what a reduction leaves of a source that is in the data, combined: (y, x).

    Parameters as of `forward_model`; `exact`: by reducing again.
    """
    return (_exact if exact else _first_order)(reduction, _sources(source, observer), in_data=True)[1]


def forward_model(
    reduction: Reduced, source: Source, observer: Observer, *, exact: bool = False, in_data: bool = True
) -> ForwardModel:
    """Return what a reduction leaves of a source, and whether the first order is all of it.

    Parameters
    ----------
    reduction : Reduction
    source : Source
    observer : Observer
        Of the reduction's science frames.
    exact
        Whether to reduce again, too.
    in_data
        Whether the source is in the data, and is taken from them; or is not, and is added.
    """
    sources = _sources(source, observer)
    frames, combined = _first_order(reduction, sources, in_data=in_data)
    same = _same_active_set(reduction, _other_data(reduction, sources, in_data=in_data))
    if not exact:
        return ForwardModel(combined, frames, sources, same)
    done = _is_modelled_again(reduction)
    exact_frames, exact_combined = (frames, combined) if done else _exact(reduction, sources, in_data=in_data)
    return ForwardModel(combined, frames, sources, same, exact_combined, exact_frames)


def _first_order(reduction: Reduced, sources: FloatArray, *, in_data: bool) -> tuple[FloatArray, FloatArray]:
    """Return what remains of a source in each frame, (n, y, x), and combined, (y, x).

    Where the scale factors were given and the combination is linear, all comes from the active components. Where other
    stars' components are fixed and factors were searched or the combination is not linear, the data without (or with)
    the source are modelled again. Where components are the science frames' own and the combination is not linear, two
    combined images are compared.
    """
    if _is_modelled_again(reduction):
        return _exact(reduction, sources, in_data=in_data)
    frames, sign = reduction.remaining(sources), _sign(in_data=in_data)
    if _is_linear(reduction):
        return frames, reduction.combine_frames(frames).image
    residuals = reduction.residuals + sign * frames
    return frames, sign * (reduction.combine_frames(residuals, residuals).image - reduction.combined)


def _exact(reduction: Reduced, sources: FloatArray, *, in_data: bool) -> tuple[FloatArray, FloatArray]:
    """Return the same from reducing again, components that are the science frames' own included."""
    sign, other = _sign(in_data=in_data), reduction.again(_other_data(reduction, sources, in_data=in_data))
    return sign * (other.residuals - reduction.residuals), sign * (other.combined - reduction.combined)


def _sign(*, in_data: bool) -> float:
    return -1.0 if in_data else 1.0


def _other_data(reduction: Reduced, sources: FloatArray, *, in_data: bool) -> Frames:
    """Return the science frames without a source that is in them, or with one that is not."""
    return reduction.science.replace_data(reduction.science.data + _sign(in_data=in_data) * sources)


def _sources(source: Source, observer: Observer) -> FloatArray:
    """Return what each frame shows of a source, (n, y, x), checked.

    Raises
    ------
    ValueError
        If the shape is another than the frames', or a value is not finite.
    """
    frames = np.asarray(source.frames(observer), dtype=np.float64)
    check_shape("source", frames, observer.shape)
    if not np.isfinite(frames).all():
        found = f"{int((~np.isfinite(frames)).sum())} NaN or Inf"
        raise fail("source", "finite in every frame", found)
    return frames


def _same_active_set(reduction: Reduced, other: Frames) -> BoolArray:
    """Return whether the frames' active components are those of other data: (n,)."""
    found = model_target(other, reduction.bases, reduction.choice, "none", quiet=True).projection.coefficients
    return np.asarray(((found > 0) == (reduction.coefficients > 0)).all(axis=1))


def _is_modelled_again(reduction: Reduced) -> bool:
    """Return whether there is no first order, or reducing again costs as little: the components are fixed."""
    return reduction.self_reference is None and not _is_linear(reduction)


def _is_linear(reduction: Reduced) -> bool:
    """Return whether neither the scale factors nor the combination depend on the source."""
    recipe = reduction.recipe
    scale = recipe.factor
    searched = isinstance(scale, str) and scale != "none" and bool((reduction.scale_factor_errors != 0).any())
    scattered = recipe.combine == "weighted" and reduction.science.sigma is None
    return not searched and not scattered and recipe.combine != "median"
