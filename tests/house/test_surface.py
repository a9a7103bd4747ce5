"""The public face: every public module lists exactly its own public names."""

import importlib
import inspect
import pkgutil

import pytest

import chapiteau

MODULES = sorted(m.name for m in pkgutil.walk_packages(chapiteau.__path__, "chapiteau."))
PUBLIC = [name for name in MODULES if not any(part.startswith("_") for part in name.split(".")[1:])]


def is_package(name: str) -> bool:
    return hasattr(importlib.import_module(name), "__path__")


@pytest.mark.parametrize("name", PUBLIC)
def test_all_lists_exactly_what_the_module_defines(name: str) -> None:
    module = importlib.import_module(name)
    own = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
        and value.__name__ == key  # not a second, shorter name for the same
    }
    listed = getattr(module, "__all__", None)
    if listed is None:  # a package that is only a folder
        assert is_package(name)
        assert not own
        return
    assert len(listed) == len(set(listed))
    assert own <= set(listed), own ^ set(listed)
    missing = [key for key in listed if not hasattr(module, key)]  # some come only when asked for
    assert not missing


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is_for(name: str) -> None:
    doc = importlib.import_module(name).__doc__
    assert doc, f"{name} has no docstring"
    assert len(doc.strip().partition("\n")[0]) <= 100


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_and_class_has_a_docstring(name: str) -> None:
    module = importlib.import_module(name)
    missing = [
        key
        for key in getattr(module, "__all__", ())
        if (value := getattr(module, key)).__doc__ is None
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__name__ == key
    ]
    assert not missing
