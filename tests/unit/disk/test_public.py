"""What `import ireko.disk` offers is on one page, and loads nothing before it is asked for."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys

import pytest

import ireko.disk


@pytest.mark.parametrize("name", ireko.disk.__all__)
def test_each_name_is_there_and_says_what_it_promises(name: str) -> None:
    found = getattr(ireko.disk, name)
    assert found.__name__ == name
    assert found.__module__.startswith("ireko.disk.")
    assert inspect.getdoc(found)


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(inspect.getsource(ireko.disk))
    imported = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ireko.disk.")
        for alias in node.names
    }
    assert sorted(imported) == sorted(ireko.disk.__all__)
    for name, module in imported.items():
        assert getattr(sys.modules[module], name) is getattr(ireko.disk, name)
    assert set(ireko.disk.__all__) <= set(dir(ireko.disk))


def test_another_name_is_none_of_ours() -> None:
    with pytest.raises(AttributeError, match="no attribute 'defragment'"):
        _ = ireko.disk.defragment  # type: ignore[attr-defined]


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    program = "import sys, ireko.disk; print([name for name in sys.modules if name.startswith('ireko.disk.')])"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30)
    assert run.stdout == "[]\n"
