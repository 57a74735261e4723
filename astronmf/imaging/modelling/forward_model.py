"""What a reduction leaves of a source, and whether that is exact.

The first order (`astronmf.imaging.forward`) takes the data's active components and scale factors as they are. Its
answer is exact as long as those stay as they are once the source is taken from the data, or added to them. Whether
components stay active is found by solving the non-negative problem again, which costs little; what the reduction really
does, by reducing again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from astronmf._typing import BoolArray, FloatArray
from astronmf._validation import check_shape, fail
from astronmf.exceptions import ScaleFactorWarning, warn
from astronmf.imaging.frames import Frames
from astronmf.imaging.modelling.observing import Observer
from astronmf.imaging.modelling.reduced import Reduced
from astronmf.imaging.modelling.sources import Source
from astronmf.imaging.statistics import mad_sigma
from astronmf.imaging.target import model_target

__all__ = ["Compared", "ForwardModel", "forward_image", "forward_model"]

LEAST_SNR = 30.0  # of a source that a searched factor answers with more than noise
NOTICED = 0.01  # of the peak: by how much that answer is off


class Compared:
    """An image `combined` beside the `exact` one, from reducing again, where that was done."""

    combined: FloatArray
    exact: FloatArray | None

    @property
    def image(self) -> FloatArray:
        """What the reduction leaves, (y, x): `exact` where the data were reduced again, else `combined`."""
        return self.combined if self.exact is None else self.exact

    @property
    def difference(self) -> FloatArray | None:
        """``combined − exact``, (y, x); `None` where nothing was reduced again."""
        return None if self.exact is None else self.combined - self.exact

    @property
    def largest_difference(self) -> float:
        """The largest ``|combined − exact|`` over the largest ``|exact|``; NaN where nothing was reduced again."""
        return float("nan") if self.exact is None else _relative_difference(self.combined, self.exact)


@dataclass(frozen=True, eq=False)
class ForwardModel(Compared):
    """What a reduction leaves of a source.

    Attributes
    ----------
    combined : (y, x) array
        What the active components and the scale factors as they are leave of it; north up, on the pixels of
        `Reduction.combined`, and NaN where that is.
    frames : (n, y, x) array
        The same in each frame, in the detector's orientation; NaN where there are no residuals.
    sources : (n, y, x) array
        The source itself, as the detector sees it.
    same_active_set : (n,) bool array
        Whether a frame's active components are the same with and without the source, on the components that there are:
        where they are, the scale factor is not searched and the components are of other stars, `frames` is exact.
    exact : (y, x) array or None
        The difference of two reductions, with the source and without it; `None` where nothing was reduced again.
    exact_frames : (n, y, x) array or None
        The same in each frame.
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
        """Return in words how far the model holds, and which of the two `image` is."""
        n, y, x = self.frames.shape
        same = int(self.same_active_set.sum())
        text = f"{n} frames of {y} x {x} pixels, active components as without the source in {same}"
        if self.exact is None:
            return f"{text}; not reduced again"
        return f"{text}; reduced again, and off by {self.largest_difference:.2g} of the peak without that"


def forward_image(reduction: Reduced, source: Source, observer: Observer, *, exact: bool | None = None) -> FloatArray:
    """Return what a reduction leaves of a source that is in the data, combined: `ForwardModel.image`, (y, x).

    Parameters as of `forward_model`.
    """
    sources = _sources(source, observer)
    if not _reduces_again(reduction, exact):
        return _first_order(reduction, sources, in_data=True)[1]
    image = _exact(reduction, sources, in_data=True)[1]
    if _is_faint(reduction, sources):
        _tell_of_noise(_first_order(reduction, sources, in_data=True)[1], image)
    return image


def forward_model(
    reduction: Reduced, source: Source, observer: Observer, *, exact: bool | None = None, in_data: bool = True
) -> ForwardModel:
    """Return what a reduction leaves of a source, and whether the first order is all of it.

    Parameters
    ----------
    reduction : Reduction
    source : Source
    observer : Observer
        Of the reduction's science frames.
    exact
        Whether to reduce again, too. By default where the components are fixed, so that it costs little, and the scale
        factors were searched or the combination is not linear, so that the first order is not all of it.
    in_data
        Whether the source is in the data, and is taken from them; or is not, and is added.

    Warns
    -----
    ScaleFactorWarning
        If scale factors are searched again for a source too faint for that.
    """
    sources = _sources(source, observer)
    frames, combined = _first_order(reduction, sources, in_data=in_data)
    same = _same_active_set(reduction, _other_data(reduction, sources, in_data=in_data))
    if not _reduces_again(reduction, exact):
        return ForwardModel(combined, frames, sources, same)
    exact_frames, exact_combined = _exact(reduction, sources, in_data=in_data)
    found = ForwardModel(combined, frames, sources, same, exact_combined, exact_frames)
    if _is_faint(reduction, sources):
        _tell_of_noise(combined, exact_combined)
    return found


def _first_order(reduction: Reduced, sources: FloatArray, *, in_data: bool) -> tuple[FloatArray, FloatArray]:
    """Return what remains of a source in each frame, (n, y, x), and combined, (y, x), from the active components.

    Scale factors are held. Where the combination is not linear, two combined images are compared: of the residuals, and
    of the residuals without what remains, or with it.
    """
    frames, sign = reduction.remaining(sources), _sign(in_data=in_data)
    if _combines_linearly(reduction):
        return frames, reduction.combine_frames(frames).image
    residuals = reduction.residuals + sign * frames
    return frames, sign * (reduction.combine_frames(residuals, residuals).image - reduction.combined)


def _relative_difference(image: FloatArray, exact: FloatArray) -> float:
    """Return the largest ``|image − exact|`` over the largest ``|exact|``; NaN where there are no values."""
    if not np.isfinite(exact).any():
        return float("nan")
    largest, off = float(np.nanmax(np.abs(exact))), float(np.nanmax(np.abs(image - exact)))
    return off / largest if largest > 0 else (0.0 if off == 0 else float("inf"))


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


def _reduces_again(reduction: Reduced, exact: bool | None) -> bool:
    """Return whether to reduce again: as asked; or if the first order is not all, and the components are fixed."""
    if exact is not None:
        return exact
    return reduction.self_reference is None and (_searches(reduction) or not _combines_linearly(reduction))


def _searches(reduction: Reduced) -> bool:
    """Return whether the scale factors depend on the data."""
    scale = reduction.recipe.factor
    return isinstance(scale, str) and scale != "none" and bool((reduction.scale_factor_errors != 0).any())


def _combines_linearly(reduction: Reduced) -> bool:
    """Return whether the combined image is linear in the residuals."""
    how = reduction.recipe.combine
    return how != "median" and (how != "weighted" or reduction.science.sigma is not None)


def _is_faint(reduction: Reduced, sources: FloatArray) -> bool:
    """Return whether scale factors are searched that a source hardly stands out for."""
    return _searches(reduction) and 0 < _signal_to_noise(reduction, sources) < LEAST_SNR


def _signal_to_noise(reduction: Reduced, sources: FloatArray) -> float:
    """Return ``sqrt(Σ V m²)`` of a source over all residuals; their scatter is 1σ where no errors are given."""
    known = np.isfinite(reduction.residuals)
    signal = float(np.sqrt(np.sum((reduction.science.weights() * np.square(sources))[known])))
    noise = 1.0 if reduction.science.sigma is not None else float(mad_sigma(reduction.residuals[known]))
    return signal / noise if noise > 0 else float("inf")


def _tell_of_noise(combined: FloatArray, exact: FloatArray) -> None:
    """Warn if reducing again leaves something else of a faint source than its active components do."""
    off = _relative_difference(combined, exact)
    if off > NOTICED:
        msg = (
            f"the scale factors were searched again for a source too faint for that (S/N below {LEAST_SNR:g}, all "
            f"pixels together): they may answer it with their own noise, here by {off:.0%} of the peak; a brighter "
            "source, or a reduction with a number for 'scale', tells more"
        )
        warn(msg, ScaleFactorWarning)
