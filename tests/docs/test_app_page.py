"""The app's page: its Python runs against the running app."""

import re
from pathlib import Path

import pytest

import clipcond

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'clipcond[demo]'")

from tests.demos.conftest import address, studio

__all__ = ["address", "studio"]  # fixtures

PAGE = Path(clipcond.__file__).parents[1] / "docs" / "app.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]


def test_every_block_runs(address, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    scope = {}
    exec(compile(block.replace("http://127.0.0.1:7860/", address), str(PAGE), "exec"), scope)
    scope["client"].close()
    assert (tmp_path / "best.png").read_bytes().startswith(b"\x89PNG")
