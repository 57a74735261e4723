"""What is public exists, is listed, and is documented."""

import inspect
import pkgutil
from importlib import import_module

import pytest

import astronmf
import astronmf.imaging

# Running the command line is not importing it.
MODULES = [
    module.name
    for module in pkgutil.walk_packages(astronmf.__path__, "astronmf.")
    if not module.name.endswith("__main__")
]


def is_public(name):
    return not any(part.startswith("_") for part in name.split("."))


def members(home):
    """Return a module's public functions and classes, by name."""
    return {name: getattr(home, name) for name in home.__all__ if callable(getattr(home, name))}


DOCUMENTED = members(astronmf) | members(astronmf.imaging)


@pytest.mark.parametrize("name", ["astronmf", *MODULES])
def test_every_name_in_all_exists_once(name):
    module = import_module(name)
    listed = getattr(module, "__all__", [])
    assert sorted(listed) == sorted(set(listed))
    assert not [missing for missing in listed if not hasattr(module, missing)]


@pytest.mark.parametrize("name", [name for name in MODULES if is_public(name)])
def test_every_public_module_says_what_it_is(name):
    assert import_module(name).__doc__


@pytest.mark.parametrize("home", [astronmf, astronmf.imaging])
def test_dir_lists_the_public_names(home):
    assert dir(home) == sorted(home.__all__)


@pytest.mark.parametrize("home", [astronmf, astronmf.imaging])
def test_a_name_that_is_not_there_is_named(home):
    with pytest.raises(AttributeError, match=f"module '{home.__name__}' has no attribute 'nothing'"):
        _ = home.nothing


def test_the_names_that_others_build_on_are_there():
    assert {"NMF", "SequentialNMF", "Components", "__version__"} <= set(astronmf.__all__)
    assert {"Frames", "reduce"} <= set(astronmf.imaging.__all__)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_public_function_and_class_has_a_docstring_of_its_own(name):
    assert vars(DOCUMENTED[name]).get("__doc__") or DOCUMENTED[name].__doc__


def public_attributes(cls):
    """Return the public methods and properties that a class and this package's parents of it define."""
    parents = [parent for parent in cls.__mro__ if parent.__module__.startswith("astronmf")]
    found = {name: value for parent in parents[::-1] for name, value in vars(parent).items() if is_public(name)}
    return {name: value for name, value in found.items() if callable(value) or hasattr(value, "__get__")}


@pytest.mark.parametrize("name", [name for name, value in DOCUMENTED.items() if inspect.isclass(value)])
def test_every_public_method_and_property_has_a_docstring(name):
    attributes = public_attributes(DOCUMENTED[name])
    assert attributes
    assert not [attribute for attribute, value in attributes.items() if not inspect.getdoc(value)]
