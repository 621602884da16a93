"""The page on evaluations: its Python runs, its commands are understood, and it is made of what was measured."""

import json
import re
import shlex
from pathlib import Path

import pytest

import clipcond
from clipcond.cli.main import build_parser
from clipcond.evaluation.settings import read_spec
from weights.lab.measure.evaluating import page

ROOT = Path(clipcond.__file__).parents[1]
TEXT = (ROOT / "docs" / "evaluating.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.slow
def test_its_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("a red heart\ntwo foxes\na fox\n")
    scope = {}
    for block in blocks("python"):
        exec(compile(block, "docs/evaluating.md", "exec"), scope)
    assert len(scope["evaluation"].table) == 12
    assert (tmp_path / "out" / "report.html").is_file()


def test_its_commands_and_its_file_are_understood(tmp_path):
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) >= 8
    for line in lines:
        build_parser().parse_args(shlex.split(line, comments=True)[1:])
    (toml,) = blocks("toml")
    (tmp_path / "sweep.toml").write_text(toml)
    assert len(read_spec(tmp_path / "sweep.toml").settings) == 3


def test_it_is_the_page_of_what_was_measured():
    assert page(json.loads((ROOT / "weights" / "evaluating.json").read_text())) == TEXT
