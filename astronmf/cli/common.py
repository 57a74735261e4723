"""What all commands share: options, the progress bar, and how warnings and failures are told."""

from __future__ import annotations

import functools
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from typer.core import TyperCommand

from astronmf._validation import fail

__all__ = [
    "Command",
    "command_line",
    "guarded",
    "listing",
    "progress_bar",
    "provenance_of",
    "read_frames",
    "save_figure",
    "smearing_of",
    "summary",
]

# Options that take all that follows them, up to the next option.
MANY_VALUES = ("--references", "-r", "--template", "-t")

FIGURES = (".png", ".pdf", ".svg")

WIDTH_IN_A_PIPE = 160  # characters that a listing may be wide where there is no terminal

# What a command was asked to write, and when each file was last written before it began.
_outputs: dict[Path, int | None] = {}

Inputs = Annotated[list[Path], typer.Argument(metavar="FILE...", help="FITS files.", show_default=False)]
Output = Annotated[Path, typer.Option("-o", "--output", help="File to write.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")]
NumberOfComponents = Annotated[
    int | None,
    typer.Option(
        "-k",
        "--n-components",
        min=1,
        help="Number of components.",
        show_default="10; adi: frames / 4",
    ),
]
Center = Annotated[
    tuple[float, float] | None,
    typer.Option("--center", metavar="X Y", help="The star, pixels from 0.", show_default="from the header"),
]
Angles = Annotated[Path | None, typer.Option("--angles", help="FITS or text file of position angles of +y, degrees.")]
AngleKey = Annotated[str | None, typer.Option("--angle-key", help="Header keyword with the position angle of +y.")]
PixelScale = Annotated[
    float | None, typer.Option("--pixel-scale", help="Arcseconds a pixel.", show_default="from the header")
]
DqBits = Annotated[
    str | None,
    typer.Option(
        "--dq-bits",
        metavar="FLAGS",
        help="DQ flags that exclude a pixel: bits, or names as in DO_NOT_USE,SATURATED.",
        show_default="JWST: DO_NOT_USE; HST: serious ones; others: any",
    ),
]
Mapping = Annotated[
    Path | None, typer.Option("--mapping", help="TOML file that says where the files of an instrument have what.")
]
Inner = Annotated[float | None, typer.Option("--inner", min=0, help="Inner radius, pixels.")]
Outer = Annotated[float | None, typer.Option("--outer", min=0, help="Outer radius, pixels.")]
Mask = Annotated[Path | None, typer.Option("--mask", help="FITS image, 1 = excluded, in the detector's orientation.")]
Tolerance = Annotated[float, typer.Option("--tol", min=0, help="Relative change of χ² at which a stage ends.")]
Iterations = Annotated[int, typer.Option("--max-iter", min=1, help="Most iterations a stage.")]
ReductionFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A reduction, of 'astronmf reduce'.", show_default=False)
]
PsfFile = Annotated[
    Path, typer.Option("--psf", help="FITS image of the star, unsaturated, off the coronagraph.", show_default=False)
]
PsfFwhm = Annotated[
    float | None, typer.Option("--fwhm", help="Of the PSF, pixels.", show_default="from a fit to the PSF")
]
Smearing = Annotated[str | None, typer.Option("--smearing", help="Rotation within an exposure: degrees, or 'angles'.")]
PsfSize = Annotated[
    int | None,
    typer.Option(
        "--psf-size",
        min=3,
        help="Use the PSF's middle N x N pixels, odd: two FWHM where its wings may not be the companion's.",
        show_default="all",
    ),
]
Plot = Annotated[Path | None, typer.Option("--plot", help="Figure to write (PNG, PDF, SVG).")]


class Command(TyperCommand):
    """A command whose list options take several values at once, as a shell's ``*.fits`` gives them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option's name before each of its values, then parse as usual."""
        return super().parse_args(ctx, spread(args))


def spread(args: list[str]) -> list[str]:
    """Return ``-r A B`` as ``-r A -r B``; what comes before the option, or after the next, stays."""
    out: list[str] = []
    current: str | None = None
    fresh = False
    for arg in args:
        name, equals, _ = arg.partition("=")
        if name in MANY_VALUES:
            current, fresh = name, not equals
            out.append(arg)
        elif arg.startswith("-") and len(arg) > 1:
            current = None
            out.append(arg)
        else:
            out += [arg] if current is None or fresh else [current, arg]
            fresh = False
    return out


def guarded(run: Callable[..., None]) -> Callable[..., None]:
    """Return a command that tells warnings and failures in one line each on stderr, and never in a traceback.

    Exit codes: 0 done, 1 a failure, 2 wrong usage. With ``ASTRONMF_DEBUG`` set, errors pass through.
    """

    @functools.wraps(run)
    def command(*args: Any, **options: Any) -> None:
        with told_in_one_line():
            run(*args, **options)

    return command


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Show warnings as they come, and end with exit code 1 at the first error."""
    _outputs.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = _show_warning
        try:
            yield
        except BrokenPipeError:  # whoever read our output has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt as interrupt:
            done = [str(path) for path, before in _outputs.items() if _changed(path) != before]
            usual = f"complete: {', '.join(done)}" if done else "no output was written"
            _fail(f"interrupted; {str(interrupt) or usual}")
        except (OSError, ValueError, TypeError, MemoryError) as error:
            _reraise_if_debugging(error)
            _fail(_one_line(error))
        except Exception as error:
            if isinstance(error, typer.Exit) or type(error).__module__.split(".")[0] in ("click", "typer"):
                raise
            _reraise_if_debugging(error)
            _fail(f"internal error: {type(error).__name__}: {_one_line(error)}; set ASTRONMF_DEBUG=1 and report it")


def _reraise_if_debugging(error: BaseException) -> None:
    if os.environ.get("ASTRONMF_DEBUG"):
        raise error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _fail(message: str) -> None:
    print(f"astronmf: error: {message}", file=sys.stderr)
    raise typer.Exit(1)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"astronmf: warning: {' '.join(str(message).split())}", file=sys.stderr)


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int, str], None]]:
    """Give a callback that moves a bar on the terminal; in a pipe it does nothing."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def advance(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield advance


def read_star(psf: Path, fwhm: float | None, size: int | None, star_flux: float | None) -> tuple[Any, float | None]:
    """Return the PSF, cut to its middle pixels if a size is given, and the star's flux within what is left of it."""
    from astronmf.imaging import PSF
    from astronmf.io.files import read_psf

    whole = PSF.of(read_psf(psf), fwhm)
    core = whole if size is None else whole.cut(size)
    return core, None if star_flux is None else star_flux * core.flux / whole.flux


def estimator(tol: float | None, max_iter: int, seed: int) -> Any:
    """Return an estimator whose number of components, and tolerance if none is given, are those of the mode."""
    from astronmf import SequentialNMF

    fit = SequentialNMF(max_iter=max_iter, random_state=seed)
    return fit.set_params(n_components=None, tol=tol)


def command_line() -> str:
    """Return the command as it was typed."""
    return shlex.join(["astronmf", *sys.argv[1:]])


def read_frames(paths: list[Path], **options: Any) -> Any:
    """Read frames with the options that were given."""
    from astronmf.imaging import Frames

    return Frames.read(list(paths), **{name: value for name, value in options.items() if value is not None})


def read_mask(path: Path | None) -> Any:
    """Return the mask in a file, or `None` without one."""
    from astronmf.io.files import read_mask as read

    return None if path is None else read(path)


def smearing_of(option: str | None) -> Any:
    """Return the rotation within an exposure as the library takes it: degrees, or the word "angles"."""
    if option is None or option == "angles":
        return option
    try:
        return float(option)
    except ValueError:
        raise fail("smearing", "degrees, or 'angles'", repr(option)) from None


def provenance_of(**files: Path | None) -> list[dict[str, str]]:
    """Return name, SHA-256 and role of the files that are given."""
    from astronmf.io.files import provenance

    return [entry | {"role": role} for role, path in files.items() if path is not None for entry in provenance(path)]


def check_outputs(
    *paths: Path | None,
    overwrite: bool,
    figures: tuple[Path | None, ...] = (),
    inputs: Sequence[Path | None] = (),
) -> None:
    """Raise if a file could not be written, is also read, or two have one name: before the work, not after it."""
    from astronmf.io.files import check_writable

    wanted = [path for path in (*paths, *figures) if path is not None]
    for path in wanted:
        check_writable(path, overwrite=overwrite)
        if any(one is not None and one.resolve() == path.resolve() for one in inputs):
            msg = f"{path}: is an input too; name another file to write"
            raise ValueError(msg)
        if wanted.count(path) > 1:
            msg = f"{path}: named for two outputs; give each its own name"
            raise ValueError(msg)
        _outputs[path] = _changed(path)
    for figure in figures:
        if figure is not None:
            _check_figure(figure)


def _check_figure(path: Path) -> None:
    """Raise unless a figure's name says how to draw it."""
    if path.suffix.lower() not in FIGURES:
        msg = f"{path}: a figure's name ends in .png, .pdf or .svg"
        raise ValueError(msg)


def _changed(path: Path) -> int | None:
    """Return when a file was last written, `None` if it is not there."""
    return path.stat().st_mtime_ns if path.exists() else None


def save_figure(figure: Any, path: Path, *, overwrite: bool) -> None:
    """Write a figure, all or nothing."""
    from astronmf.io.files import write_atomically

    _check_figure(path)
    with write_atomically(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=150, bbox_inches="tight")


def summary(title: str, rows: list[tuple[str, str]]) -> None:
    """Print a table of names and values."""
    table = Table(title=title, show_header=False, title_justify="left")
    for name, value in rows:
        table.add_row(name, value)
    Console(soft_wrap=False).print(table)


def listing(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with a heading for each column; in a pipe as wide as it needs to be."""
    table = Table(title=escape(title), title_justify="left")
    for name in columns:
        table.add_column(escape(name), justify="right")
    for row in rows:
        table.add_row(*map(escape, row))
    Console(width=None if Console().is_terminal else WIDTH_IN_A_PIPE).print(table)
