"""The public surface: names, laziness, what importing costs, and that modules stay small."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import clipcond
from clipcond import errors

PACKAGE = Path(clipcond.__file__).parent
LIGHT = ["clipcond", "clipcond.prompt", "clipcond.errors", "clipcond.resources"]
HEAVY = ["torch", "numpy", "transformers", "diffusers", "gradio", "torchvision"]


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return done.stdout.strip()


@pytest.mark.parametrize("module", LIGHT)
def test_light_imports_load_nothing_heavy(module):
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_parsing_loads_nothing_heavy():
    code = f"import sys, clipcond; clipcond.parse('(a:1.2)'); print([m for m in {HEAVY} if m in sys.modules])"
    assert run_python(code) == "[]"


def test_conditioning_does_not_import_diffusers():
    assert (
        run_python("import sys, clipcond.conditioning; print('diffusers' in sys.modules)")
        == "False"
    )


def test_names_stay_what_they_are_after_every_submodule_is_imported():
    first = {name: getattr(clipcond, name) for name in clipcond.__all__}
    for module in pkgutil.walk_packages(clipcond.__path__, "clipcond."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    assert {name: getattr(clipcond, name) for name in clipcond.__all__} == first
    for name, value in first.items():
        home = clipcond._HOMES[name]
        expected = (
            importlib.import_module(f"clipcond.{name}")
            if home is None
            else getattr(sys.modules[home], name)
        )
        assert value is expected


def test_names_are_the_same_when_submodules_came_first():
    code = (
        "import pkgutil, importlib, inspect, clipcond\n"
        "for m in pkgutil.walk_packages(clipcond.__path__, 'clipcond.'):\n"
        "    m.name.endswith('__main__') or importlib.import_module(m.name)\n"
        "print([n for n in clipcond.__all__ if inspect.ismodule(getattr(clipcond, n))])"
    )
    assert run_python(code) == "['emoji', 'weighting']"


def test_all_is_sorted_and_complete():
    assert sorted(clipcond._HOMES) == sorted(clipcond.__all__) == clipcond.__all__
    assert set(clipcond.__all__) <= set(dir(clipcond))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = clipcond.nonsense


def test_every_error_is_a_clipcond_error():
    found = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert all(issubclass(e, errors.ClipcondError | Warning) for e in found)


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE))
)
def test_modules_and_functions_stay_small(path):
    source = path.read_text()
    assert len(source.splitlines()) <= 350
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            lines = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
            assert lines <= 50, f"{node.name} has {lines} lines beside its docstring"
