"""The examples of docs/checkpoints.md run, in a folder that looks like the root of the repository."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_examples_run(tmp_path, monkeypatch, capsys):
    for name in ("weights", "docs", "README.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "checkpoints.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/checkpoints.md", "exec"), names)
    out = capsys.readouterr().out
    assert "center 1 shortest edge to" in out
    assert "multi 2 shortest edge to" in out
    assert "README.md: not a picture that Pillow can read" in out
