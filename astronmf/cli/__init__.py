"""The command line: one module a command; each parses, calls the library, and writes."""

from __future__ import annotations

import io
import sys

import typer

from astronmf import __version__
from astronmf.cli import common, components, contrast, demo, detect, fit, forward, info, plot, prepare, reduce

__all__ = ["app", "main"]

app = typer.Typer(
    help="Weighted, missing-data-aware, sequential non-negative matrix factorization for astronomy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command, module in (
    ("demo", demo),
    ("prepare", prepare),
    ("reduce", reduce),
    ("components", components),
    ("detect", detect),
    ("contrast", contrast),
    ("forward", forward),
    ("fit", fit),
    ("info", info),
    ("plot", plot),
):
    app.command(command, cls=common.Command)(common.guarded(module.run))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"astronmf {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    """Weighted, missing-data-aware, sequential non-negative matrix factorization for astronomy."""


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without χ must not make a done job fail
    app()
