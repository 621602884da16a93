"""The notebook: it runs, all that it shows is there in what is committed too, and says nothing of where it ran."""

import json
import re
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "demos" / "tour.ipynb"
# in the order of the notebook
SHOWN = (
    r'class="clipcond-report"',
    r"<b>heart</b></p><div[^>]*><figure.*data:image/png",
    r"\d. seed \d, 0\.\d{4}</small></figcaption>",
    r"\d. seed \d, -?0\.\d{4}</small></figcaption>",
    r"<td>12 steps</td>",
    r"verdict",
)


def rich(cells):
    """Every HTML that cells show."""
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    return ["".join(each["data"]["text/html"]) for each in outputs if "text/html" in each.get("data", {})]  # fmt: skip


def check(cells):
    found = rich(cells)
    assert len(found) == len(SHOWN)
    for html, pattern in zip(found, SHOWN, strict=True):
        assert re.search(pattern, html, flags=re.DOTALL), pattern
    everything = json.dumps([cell.get("outputs", ()) for cell in cells])
    assert '"image/png"' in everything
    assert '"stderr"' not in everything
    assert '"error"' not in everything


def test_what_is_committed_shows_everything_and_tells_no_folder():
    text = PATH.read_text(encoding="utf-8")
    assert len(text) < 1_500_000
    cells = json.loads(text)["cells"]
    check(cells)
    numbers = [cell["execution_count"] for cell in cells if cell["cell_type"] == "code"]
    assert numbers == list(range(1, len(numbers) + 1))
    assert not re.search(r"/(work|home|tmp|root|Users)/", re.sub(r"base64,[\w+/=]+", "", text))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_it_runs_from_top_to_bottom(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="pip install -e '.[dev]'")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(PATH.parents[1]))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = nbformat.read(PATH, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    nbclient.NotebookClient(
        book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    check(book.cells)
