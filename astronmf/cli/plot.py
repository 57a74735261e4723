"""``astronmf plot``: a figure of what a file holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from astronmf.cli import common
from astronmf.cli.info import read_any

__all__ = ["run"]


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A FITS file.", show_default=False)],
    output: common.Output,
    history: Annotated[
        bool, typer.Option("--history", help="χ² and variance left against the number of components.")
    ] = False,
    center: common.Center = None,
    overwrite: common.Overwrite = False,
) -> None:
    """Draw a reduction, components, a fit, a forward model, or frames."""
    from astronmf import plotting

    common.check_outputs(overwrite=overwrite, figures=(output,), inputs=(file,))
    content = read_any(file, **({} if center is None else {"center": center}))
    if history:
        basis = getattr(content, "components", content)
        if not hasattr(basis, "history"):
            msg = f"{file}: '--history' needs a reduction or components, got frames"
            raise ValueError(msg)
        figure = plotting.plot_history(basis)
    else:
        figure = plotting.plot_any(content)
    common.save_figure(figure, output, overwrite=overwrite)
    typer.echo(f"wrote {output}")
