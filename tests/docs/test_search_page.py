"""The page on search: its Python runs, and its commands are understood."""

import re
import shlex
from pathlib import Path

import pytest

import clipcond
from clipcond import emoji
from clipcond.cli.main import build_parser

TEXT = (Path(clipcond.__file__).parents[1] / "docs" / "search.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.slow
def test_its_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for number in range(5):
        emoji.render(emoji.sample(number), 32).save(tmp_path / "pictures" / f"{number}.png")
    (tmp_path / "captions.csv").write_text("file,caption\n0.png,a fox\n")
    for block in blocks("python"):
        exec(compile(block, "docs/search.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_its_commands_are_understood():
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    typed = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("clipcond")]
    assert len(typed) >= 9
    for words in typed:
        build_parser().parse_args(words)
