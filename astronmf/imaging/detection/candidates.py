"""Sources taken off the residuals one after the other, judged together, and taken from the data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np

from astronmf._typing import FloatArray, Progress
from astronmf.imaging.detection.fitting import SMALLEST_MOVE, Fitter, Noise, Place
from astronmf.imaging.detection.matched import MatchedFilter, filtered
from astronmf.imaging.detection.point_response import PointResponse
from astronmf.imaging.frames import Frames
from astronmf.imaging.geometry import radius

__all__ = ["Candidate", "Candidates"]

#: A peak of this share of the threshold is a candidate: its own ring is not yet free of it.
SHARE = 0.5

#: Candidates in a row that did not stand out, after which nothing more is looked for.
MOST_FAILURES = 3


#: Pixels: the step that ends a candidate's first fit.
COARSE_MOVE = 0.1


@dataclass(frozen=True)
class Candidate:
    """A source, and how it became known.

    Attributes
    ----------
    place : Place
    forward_flux, flux_left, n_reductions
        As of `Companion`.
    """

    place: Place
    forward_flux: float
    flux_left: float = float("nan")
    n_reductions: int = 0


@dataclass
class Candidates:
    """The state of a search.

    Attributes
    ----------
    response : PointResponse
    fitter : Fitter
    residuals : (n, y, x) array
        Less all candidates.
    noise : MatchedFilter
        Of these.
    known : list of Candidate
        Taken from the data before they were reduced.
    new : list of Candidate
        Their forward models are taken from the residuals.
    """

    response: PointResponse
    fitter: Fitter
    residuals: FloatArray
    noise: MatchedFilter
    known: list[Candidate] = field(default_factory=list)
    new: list[Candidate] = field(default_factory=list)

    @property
    def all(self) -> list[Candidate]:
        """Those taken from the data, and those taken from the residuals."""
        return [*self.known, *self.new]

    def noise_at(self, candidate: Candidate) -> Noise:
        """Return what the noise is where a candidate is."""
        return Noise.of(self.noise, candidate.place)

    def significance(self, candidate: Candidate) -> float:
        """Return how far a candidate stands out of the noise, in Gaussian sigma."""
        return self.noise_at(candidate).significance(candidate.place.flux)

    def stands_out(self, candidate: Candidate, threshold: float) -> bool:
        """Return whether a candidate is above the threshold, and no part of a brighter one within one FWHM."""
        here = candidate.place
        brighter = (one.place for one in self.all if one.place.flux > here.flux)
        is_apart = all(np.hypot(one.x - here.x, one.y - here.y) > self.noise.fwhm for one in brighter)
        return is_apart and self.significance(candidate) >= threshold

    def look(self, threshold: float, most: int, progress: Progress) -> None:
        """Take candidates off, the most significant first, until `most` stand out or too few of them do.

        Those that do not stand out of the noise, with all of them off, are put back.
        """
        taken = [(one.place.x, one.place.y) for one in self.known]
        found = failures = 0
        while found < most and failures < MOST_FAILURES:
            start = _most_significant(self.noise, taken, SHARE * threshold)
            if start is None:
                break
            taken.append(start)
            self._take_off(start, COARSE_MOVE)
            self.noise = filtered(self.response, self.residuals)
            is_one = self.stands_out(self.new[-1], threshold)
            found, failures = found + is_one, 0 if is_one else failures + 1
            progress(found, most, "companions")
        self._settle(threshold)

    def without(self, science: Frames, *, warm: bool) -> Candidates:
        """Return the candidates, all measured on the science frames less all of them, reduced again."""
        sources = (one.place.flux * self.fitter.source(one.place.x, one.place.y) for one in self.all)
        data = sum(sources, np.zeros(science.shape))
        reduction = self.fitter.reduction.again(science.replace_data(science.data - data), warm=warm)
        fitter, response = replace(self.fitter, reduction=reduction), replace(self.response, reduction=reduction)
        better = []
        for one in self.all:
            place = fitter.fit(reduction.residuals, one.place)
            left = place.flux - one.place.flux
            better.append(replace(one, place=place, flux_left=left, n_reductions=one.n_reductions + 1))
        return Candidates(response, fitter, reduction.residuals, filtered(response, reduction.residuals), better)

    def _settle(self, threshold: float) -> None:
        """Put back new candidates that do not stand out with all of them off, and fit the rest again, until all do."""
        fitted_again = False
        while self.new:
            strong = [self.stands_out(one, threshold) for one in self.new]
            if all(strong) and fitted_again:
                return
            for one in compress(self.new, np.logical_not(strong)):
                self._put_back(one)
            before, self.new, fitted_again = list(compress(self.new, strong)), [], True
            for one in before:
                self._put_back(one)
                self._take_off((one.place.x, one.place.y))
            self.noise = filtered(self.response, self.residuals)

    def _take_off(self, start: tuple[float, float], smallest_move: float = SMALLEST_MOVE) -> None:
        """Fit a source near a start, and take it off the residuals."""
        place = self.fitter.first(start, self.residuals, smallest_move)
        self.residuals = self.residuals - self.fitter.trace(place)
        self.new.append(Candidate(place, place.flux))

    def _put_back(self, one: Candidate) -> None:
        self.residuals = self.residuals + self.fitter.trace(one.place)


def _most_significant(
    noise: MatchedFilter, taken: list[tuple[float, float]], least: float
) -> tuple[float, float] | None:
    """Return (x, y) of the most significant place that is not within one FWHM of those taken, if it is enough."""
    map_ = np.nan_to_num(noise.significance, nan=-np.inf)
    for place in taken:
        map_[radius((map_.shape[0], map_.shape[1]), place) <= noise.fwhm] = -np.inf
    y, x = np.unravel_index(int(np.argmax(map_)), map_.shape)
    return (float(x), float(y)) if map_[y, x] >= least else None
