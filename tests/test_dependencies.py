"""What the package imports is declared, what is declared is used, and the lowest versions are those that are tested."""

import ast
import re
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_USERS = [lines for name, lines in EXTRAS.items() if name not in ("docs", "test")]
DISTRIBUTIONS = {"PIL": "pillow", "skimage": "scikit-image", "sklearn": "scikit-learn"}
"""Where a module is called otherwise than what is installed."""
TOLD = {"pandas"}
"""What no extra brings, for a method that says what to install: it is part of the tests alone."""
SIGNS = {
    "import-linter": "lint-imports",
    "ipykernel": "--nbmake",  # runs the notebooks' code
    "mypy": "mypy",
    "nbmake": "--nbmake",
    "pytest-cov": "--cov=",
    "pytest-xdist": "--numprocesses",
    "ruff": "ruff check",
}
"""Programs and plugins are not imported; this is what uses each."""


def declared(*groups: list[str]) -> set[str]:
    names = {canonicalize_name(Requirement(line).name) for group in groups for line in group}
    return names - {"captum-superpixel"}


def imported(path: Path) -> set[str]:
    """The distributions that a file imports, also late, by functions that are given a module's name."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names):
                modules |= {alias.name for alias in names}
            case ast.ImportFrom(module=str(module), level=0):
                modules.add(module)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[ast.Constant(str(module)), *_]):
                if name in ("import_module", "importorskip", "_late"):
                    modules.add(module)
    roots = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"captum_superpixel"}
    return {canonicalize_name(DISTRIBUTIONS.get(root, root)) for root in roots}


@cache
def imported_within(folder: str) -> frozenset[str]:
    return frozenset().union(*(imported(path) for path in (ROOT / folder).rglob("*.py")))


def test_what_the_package_imports_is_what_it_declares() -> None:
    assert imported_within("captum_superpixel") - TOLD == declared(PROJECT["dependencies"], *FOR_USERS)
    assert declared(EXTRAS["test"]) >= TOLD


@pytest.mark.parametrize("extra", ["docs", "test"])
def test_what_is_declared_for_the_project_itself_is_used(extra: str) -> None:
    _, _, tools = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\n[tool.")
    text = f"[tool.{tools}" + (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    settings = (ROOT / "tutorials" / "conf.py").read_text(encoding="utf-8")
    used = imported_within("tests") | imported_within("tutorials")
    used |= {name for name, sign in SIGNS.items() if sign in text}
    # Sphinx and the extensions are named by the settings of the site, or run by the checks.
    used |= {
        name for name in declared(EXTRAS["docs"]) if f'"{name.replace("-", "_")}"' in settings or f"-m {name} " in text
    }
    assert declared(EXTRAS[extra]) - used == set()


def test_the_lowest_versions_are_those_that_are_tested() -> None:
    text = (ROOT / "tests" / "constraints-lowest.txt").read_text(encoding="utf-8")
    tested = {canonicalize_name(name): version for name, version in re.findall(r"(?m)^([\w.-]+)==(.+)$", text)}
    # Of what is for the project itself, what the suite imports.
    needed = declared(PROJECT["dependencies"], *FOR_USERS) | (declared(EXTRAS["test"]) & imported_within("tests"))
    lines = [line for group in (PROJECT["dependencies"], *FOR_USERS, EXTRAS["test"]) for line in group]
    requirements = {canonicalize_name(each.name): each for each in map(Requirement, lines)}
    for name in needed:
        (specifier,) = requirements[name].specifier
        assert specifier.operator == ">=", name
        assert Version(tested[name]) == Version(specifier.version), name
