"""Models of disks and planets: what a reduction leaves of them, and their fit to frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from astronmf._lazy import lazily

if TYPE_CHECKING:
    from astronmf.imaging.modelling.calibration import AngleCalibration
    from astronmf.imaging.modelling.callable_model import CallableModel
    from astronmf.imaging.modelling.fit_result import TemplateFit
    from astronmf.imaging.modelling.forward_images import ForwardImages
    from astronmf.imaging.modelling.forward_model import ForwardModel
    from astronmf.imaging.modelling.likelihood import Likelihood
    from astronmf.imaging.modelling.noise import reference_systematics
    from astronmf.imaging.modelling.observing import Observer
    from astronmf.imaging.modelling.rings import EdgeOnDisk, Ring
    from astronmf.imaging.modelling.sampling import Posterior, sample_posterior
    from astronmf.imaging.modelling.sources import PointSource, SkyImage, Source, as_source
    from astronmf.imaging.modelling.together import Together

__all__ = [
    "AngleCalibration",
    "CallableModel",
    "EdgeOnDisk",
    "ForwardImages",
    "ForwardModel",
    "Likelihood",
    "Observer",
    "PointSource",
    "Posterior",
    "Ring",
    "SkyImage",
    "Source",
    "TemplateFit",
    "Together",
    "as_source",
    "reference_systematics",
    "sample_posterior",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "AngleCalibration": "imaging.modelling.calibration",
        "CallableModel": "imaging.modelling.callable_model",
        "EdgeOnDisk": "imaging.modelling.rings",
        "ForwardImages": "imaging.modelling.forward_images",
        "ForwardModel": "imaging.modelling.forward_model",
        "Likelihood": "imaging.modelling.likelihood",
        "Observer": "imaging.modelling.observing",
        "PointSource": "imaging.modelling.sources",
        "Posterior": "imaging.modelling.sampling",
        "Ring": "imaging.modelling.rings",
        "SkyImage": "imaging.modelling.sources",
        "Source": "imaging.modelling.sources",
        "TemplateFit": "imaging.modelling.fit_result",
        "Together": "imaging.modelling.together",
        "as_source": "imaging.modelling.sources",
        "reference_systematics": "imaging.modelling.noise",
        "sample_posterior": "imaging.modelling.sampling",
    },
)
