"""The rules of the house that no other tool checks."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 500, 50
NOUNLESS = {"utils", "util", "helpers", "helper", "common", "misc", "base_utils"}
NOT_ON_WINDOWS = {"ireko.drivers.qemu", "ireko.recipes"}


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def importable(name: str) -> bool:
    if name.endswith("__main__"):
        return False  # importing it runs it
    return sys.platform != "win32" or not any(name.startswith(each) for each in NOT_ON_WINDOWS)


def test_there_is_a_house() -> None:
    assert len(MODULES) > 10


@pytest.mark.parametrize("name", [name for path in MODULES if importable(name := module_name(path))])
def test_every_module_can_be_imported(name: str) -> None:
    importlib.import_module(name)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_files_and_functions_stay_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    long = {node.name: node.end_lineno - node.lineno + 1 for node in functions(path) if node.end_lineno}
    assert {name: lines for name, lines in long.items() if lines > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("path", [*MODULES, *sorted((ROOT / "tests").rglob("*.py"))], ids=str)
def test_a_module_is_named_by_what_it_is_about(path: Path) -> None:
    assert not NOUNLESS & set(path.relative_to(ROOT).with_suffix("").parts)


def test_a_package_says_what_it_is() -> None:
    packages = {path.parent for path in MODULES}
    assert {folder for folder in packages if not (folder / "__init__.py").exists()} == set()


def test_programs_are_started_in_one_place() -> None:
    """`ireko.host.process` starts programs; the QEMU driver has one of its own, for those that outlive us."""
    allowed = {"ireko.host.process", "ireko.drivers.qemu.process", "ireko.client.daemon"}
    starters = {
        module_name(path)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if _names(node) & {"subprocess", "create_subprocess_exec", "create_subprocess_shell"}
    }
    assert starters - allowed == set()


def _names(node: ast.AST) -> set[str]:
    match node:
        case ast.Import(names):
            return {alias.name for alias in names}
        case ast.ImportFrom(module=str(module)):
            return {module}
        case ast.Attribute(attr=name):
            return {name}
    return set()
