"""The pages on conditioning: every Python block runs, in order, on a tiny pipeline."""

import re
from pathlib import Path

import pytest

import clipcond
from tests.families import layouts
from tests.tiny import clip_tokenizer, tiny_pipeline

ROOT = Path(clipcond.__file__).parents[1]


@pytest.mark.filterwarnings("ignore:a1111")  # a random encoder's states have mean zero
@pytest.mark.parametrize(
    ("page", "least"),
    [
        ("docs/conditioning.md", 3),
        ("docs/migrating.md", 4),
        ("docs/encoders.md", 3),
        ("docs/attention.md", 2),
        ("docs/regions.md", 4),
        ("weights/lab/templates/weighting.md", 1),
        ("weights/lab/templates/steps.md", 5),
    ],
)
def test_every_block_runs(page, least, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
    assert len(blocks) >= least
    layouts.write(tmp_path, "sd1", layouts.pipeline("sd1")).rename("model.safetensors")
    clip_tokenizer().save_pretrained("tokenizer")
    names = {"clipcond": clipcond, "pipe": tiny_pipeline()}
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    if page != "weights/lab/templates/weighting.md":
        assert names["images"][0].size == (32, 32)
