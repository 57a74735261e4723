"""Forward models to FITS and back (``format="fits"``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy.io import registry

from astronmf.imaging.modelling.forward_images import ForwardImages
from astronmf.io.files import identify_fits, json_from, json_hdu, native_array, open_fits, write_fits
from astronmf.io.modelling import (
    checked_extensions,
    frame_geometry,
    frame_table,
    image_hdus,
    input_table,
    optional_image,
    primary_hdu,
)

__all__ = ["EXTENSIONS", "read_forward", "write_forward"]

EXTENSIONS = ("FORWARD", "SOURCE", "FRAMES", "ACTIVE_SETS", "META")


def write_forward(images: ForwardImages, path: Any, *, overwrite: bool = False) -> None:
    """Write FORWARD, SOURCE, EXACT and DIFFERENCE (if there are any), FRAMES, and the table ACTIVE_SETS.

    FORWARD is from the active components, EXACT from reducing again; ``THROUGHP`` is of the latter where it is there.
    """
    north_up = {
        "FORWARD": images.combined,
        "SOURCE": images.source,
        "EXACT": images.exact,
        "DIFFERENCE": images.difference,
    }
    same = images.same_active_set
    cards: dict[str, Any] = {"NFRAMES": (len(same), "science frames"), "NSAME": (int(same.sum()), "of the same set")}
    if np.isfinite(images.throughput):
        cards["THROUGHP"] = (images.throughput, "amplitude of SOURCE in what is left")
    if np.isfinite(images.largest_difference):
        cards["LARGDIFF"] = (images.largest_difference, "of FORWARD and EXACT, over the peak")
    hdus = [
        primary_hdu(images, "forward model", **cards),
        *image_hdus(images, images.unit, north_up, {"FRAMES": images.frames}),
        frame_table(images, len(same), "ACTIVE_SETS", SAME=same),
        json_hdu(images.meta, "META"),
        input_table(images),
    ]
    write_fits(hdus, path, overwrite=overwrite)


def read_forward(path: Any) -> ForwardImages:
    """Read a forward model.

    Raises
    ------
    FormatError
        If the file is none.
    """
    hdus = open_fits(path)
    unit = checked_extensions(hdus, EXTENSIONS, "a forward model", path)
    table = hdus["ACTIVE_SETS"].data
    return ForwardImages(
        source=native_array(hdus["SOURCE"].data),
        combined=native_array(hdus["FORWARD"].data),
        frames=native_array(hdus["FRAMES"].data),
        same_active_set=np.asarray(table["SAME"], dtype=bool),
        exact=optional_image(hdus, "EXACT"),
        unit=unit,
        geometry=frame_geometry(hdus["FRAMES"].header, table),
        meta=json_from(hdus["META"]),
    )


registry.register_reader("fits", ForwardImages, read_forward)
registry.register_writer("fits", ForwardImages, write_forward)
registry.register_identifier("fits", ForwardImages, identify_fits)
