"""The walls of the house: who may import whom, and how large things may grow."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from pathlib import Path
from statistics import median, quantiles

import pytest

import astronmf

ROOT = Path(astronmf.__file__).parent

LAYERS = [
    {"exceptions", "_typing", "_validation", "_lazy"},
    {"kernels"},
    {"core"},
    {"imaging", "spectra", "imputation", "components", "estimator", "_inputs", "_formats"},
    {"io", "plotting", "adapters"},
    {"datasets", "cli", "__main__"},
]

# Names that are looked up when they are used stand for the whole package: its front door is in no layer.
FRONT_DOOR = "astronmf"

#: Who may import what from outside, and where; modules that are not named here may be imported anywhere.
RESERVED = {
    "numba": ("kernels",),
    "llvmlite": ("kernels._vector",),
    "matplotlib": ("plotting",),
    "corner": ("plotting",),
    "emcee": ("imaging.modelling.sampling",),
    "photutils": ("imaging", "datasets"),
    "threadpoolctl": ("core.parallel",),
    "astropy": tuple(chain.from_iterable(LAYERS[3:])),
    "typer": ("cli", "__main__"),
    "rich": ("cli", "__main__"),
    "vip_hci": ("adapters",),
    "applefy": ("adapters",),
    "pyklip": ("adapters",),
}

MODULES = {
    ".".join((FRONT_DOOR, *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
INSIDE = [name for name in MODULES if name != FRONT_DOOR]

each_module = pytest.mark.parametrize("name", INSIDE)


@cache
def tree(name):
    return ast.parse(MODULES[name].read_text(encoding="utf-8"))


def nodes(name, *kinds):
    return [node for node in ast.walk(tree(name)) if isinstance(node, kinds)]


def imported(name):
    """Return the full names of all that a module imports, wherever in it the import stands."""
    found = {alias.name for node in nodes(name, ast.Import) for alias in node.names}
    for node in nodes(name, ast.ImportFrom):
        assert node.level == 0, f"{name} imports relatively"
        found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def siblings(name):
    """Return the modules of this package that a module imports; the version is a number, not a module's."""
    full_names = {full for full in imported(name) if full.split(".")[0] == FRONT_DOOR}
    return {home_of(full) for full in full_names - {f"{FRONT_DOOR}.__version__"}} - {name}


def home_of(full):
    """Return the module that a full name is, or is in."""
    return full if full in MODULES else full.rpartition(".")[0]


def layer_of(name):
    """Return the number of a module's layer."""
    room = name.split(".")[1]
    return next(number for number, rooms in enumerate(LAYERS) if room in rooms)


def is_in(name, rooms):
    """Return whether a module is one of `rooms` or in one of them."""
    inside = name.removeprefix(f"{FRONT_DOOR}.")
    return any(inside == room or inside.startswith(f"{room}.") for room in rooms)


@each_module
def test_every_module_stands_in_a_layer(name):
    assert name.split(".")[1] in set().union(*LAYERS)


@each_module
def test_a_module_imports_only_from_its_own_layer_and_those_below(name):
    above = {other for other in siblings(name) - {FRONT_DOOR} if layer_of(other) > layer_of(name)}
    assert not above


@each_module
def test_nothing_below_the_command_line_asks_the_front_door_for_what_has_a_room(name):
    assert FRONT_DOOR not in siblings(name) or layer_of(name) == len(LAYERS) - 1


def test_no_module_imports_itself_by_way_of_others():
    try:
        TopologicalSorter({name: siblings(name) for name in INSIDE}).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@each_module
@pytest.mark.parametrize("library", RESERVED)
def test_a_library_is_imported_only_where_it_belongs(name, library):
    uses_it = any(full.split(".")[0] == library for full in imported(name))
    assert not uses_it or is_in(name, RESERVED[library])


@each_module
def test_only_the_command_line_prints(name):
    printing = [n.lineno for n in nodes(name, ast.Call) if isinstance(n.func, ast.Name) and n.func.id == "print"]
    assert not printing or is_in(name, ("cli", "__main__"))


@each_module
def test_no_kernel_lets_the_compiler_assume_that_nothing_is_nan(name):
    keywords = [word for call in nodes(name, ast.Call) for word in call.keywords if word.arg == "fastmath"]
    assert not [w for w in keywords if isinstance(w.value, ast.Constant) and w.value.value is not False]


@pytest.mark.parametrize("name", MODULES)
def test_no_file_is_longer_than_four_hundred_lines(name):
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 400


def body_lines(function):
    """Return how many lines a function's body has, without its docstring."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_functions_are_short():
    sizes = [body_lines(f) for name in MODULES for f in nodes(name, ast.FunctionDef, ast.AsyncFunctionDef)]
    assert median(sizes) <= 8
    assert quantiles(sizes, n=10)[-1] <= 32


@pytest.mark.parametrize("name", ["astronmf", "astronmf.imaging"])
@pytest.mark.parametrize("heavy", ["numba", "llvmlite", "matplotlib", "photutils", "typer"])
def test_importing_the_package_loads_nothing_heavy(name, heavy):
    command = f"import sys, {name}; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0  # noqa: S603


@pytest.mark.parametrize("heavy", ["numba", "matplotlib", "scipy.optimize"])
def test_asking_the_command_line_for_help_loads_nothing_heavy(heavy):
    command = f"import sys, astronmf.cli; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0  # noqa: S603
