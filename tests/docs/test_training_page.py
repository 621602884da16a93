"""The page on training a CLIP: its Python runs on a folder of pictures, and its figures are the measured ones."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

import clipcond
from weights.lab.measure import training

ROOT = Path(clipcond.__file__).parents[1]


def test_every_block_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    for i, color in enumerate(("red", "green", "blue", "white", "black", "gray") * 4):
        Image.new("RGB", (40, 40), color).save(tmp_path / "pictures" / f"a_{color}_heart-{i}.png")
    page = (ROOT / "docs" / "training-clip.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(block, "training-clip.md", "exec"), {"clipcond": clipcond})
    assert "my-clip after 20 steps" in capsys.readouterr().out


def test_the_committed_page_says_what_was_measured():
    found = json.loads(training.FILE.read_text())
    beside = [json.loads(f.read_text()) for f in (training.GRADIENTS, training.THROUGHPUT)]
    assert training.PAGE.read_text() == training.page(found, *beside)


@pytest.mark.parametrize(
    ("pictures", "figure", "least"), [("digits", "zero_shot", 0.93), ("scenes", "sprites", 0.9)]
)
def test_both_towers_learn_in_minutes(pictures, figure, least):
    found = json.loads(training.FILE.read_text())[pictures]
    for preset in training.TOWERS:
        assert found[preset][figure]["mean"] >= least
        assert found[preset]["minutes"] <= 20
