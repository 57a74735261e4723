"""Files: importing this package registers its formats with astropy's unified I/O.

One module a format family or instrument; a new instrument is a new module, imported here.
"""

from __future__ import annotations

from astronmf.io import (
    components,
    fit,
    forward,
    frames,
    hst,
    jwst,
    mapping,
    naco,
    reduction,
    spectral,
    sphere,
    sphere_ifs,
)

__all__ = [
    "components",
    "fit",
    "forward",
    "frames",
    "hst",
    "jwst",
    "mapping",
    "naco",
    "reduction",
    "spectral",
    "sphere",
    "sphere_ifs",
]
