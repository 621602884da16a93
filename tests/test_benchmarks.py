"""The benchmarks' own machinery, and that rows run that need no peer; speed is not asserted."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import page
from benchmarks.__main__ import ROWS
from benchmarks.prompts import lengths, prompts
from benchmarks.race import Products, check_equal, race, row_of, text_products
from benchmarks.shapes import text_encoder, tokenizer

ROOT = Path(__file__).parents[1]
MEASURED = json.loads((ROOT / "benchmarks" / "rows.json").read_text(encoding="utf-8"))


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_ratio_is_the_median_of_the_rounds_own():
    row = row_of("a/b/c", [(10, 5), (30, 10), (8, 8)], unit="x/s", target=2.0)
    assert (row.ratio, row.ratio_min, row.ratio_max) == (2.0, 1.0, 3.0)
    assert (row.ours, row.peer, row.met) == (10, 8, True)
    less = row_of("a/b/c", [(10, 5)], unit="s", target=1.0, less=True)
    assert (less.ratio, less.met) == (0.5, False)


def test_both_take_turns():
    turns = []
    row = race(
        "a/b/c",
        lambda: turns.append("ours"),
        lambda: turns.append("theirs"),
        count=1,
        unit="x/s",
        device=torch.device("cpu"),
        products=Products(1e6, (8, 8, 8)),
        rounds=3,
    )
    assert turns == ["ours", "theirs"] * 4
    assert row.limit_share is not None
    assert row.met


def test_what_differs_is_not_timed():
    check_equal(torch.ones(2), torch.ones(2) + 1e-6, "a")
    for other in (torch.ones(2) + 1e-3, torch.full((2,), torch.nan), torch.ones(3)):
        with pytest.raises(SystemExit, match="a: differs"):
            check_equal(torch.ones(2), other, "a")


def test_products_are_those_that_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    encoder = text_encoder(layers=1)
    encoder.set_attn_implementation("eager")  # torch does not count the other one's on a CPU
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(torch.randint(0, 50, (3, 77)))
    counted = text_products(encoder.config, 3, 77).flops
    assert counted == pytest.approx(counter.get_total_flops(), rel=1e-6)


def test_prompts_have_the_lengths_that_were_asked_for():
    own = [n for n in lengths("PartiPrompts") if n <= 77]
    asked = prompts(tokenizer(), own[:50])
    assert [len(ids) for ids in tokenizer()(asked)["input_ids"]] == own[:50]
    assert len(lengths("PartiPrompts")) == 1632


@pytest.mark.slow
def test_rows_without_peers_run_and_replace_their_own(tmp_path):
    file = tmp_path / "rows.json"
    known = [{"row": "parse/kept/compel"}, {"row": "resize_exact/old/old"}]
    file.write_text(json.dumps({"machine": {}, "rows": known}))
    done = run("resize_exact", "imports", "--json", str(file))
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    names = [row["row"] for row in found["rows"]]
    assert "parse/kept/compel" in names
    assert "resize_exact/old/old" not in names
    assert {name.partition("/")[0] for name in names} == {"parse", "resize_exact", "imports"}
    values = {row["row"].split("/")[1]: row for row in found["rows"] if "ours" in row}
    assert values["values off Pillow's in six pictures"]["ours"] < 1
    assert values["import clipcond"]["met"]
    assert found["machine"]["torch"] == torch.__version__


def test_a_row_that_is_none_is_refused():
    done = run("fastest")
    assert done.returncode == 2
    assert "fastest: no such row; there are" in done.stderr


def test_every_row_says_what_it_measures_and_was_measured():
    assert {row["row"].partition("/")[0] for row in MEASURED["rows"]} == set(ROWS)
    for row in MEASURED["rows"]:
        assert row["met"] == (row["target"] is None or row["ratio"] >= row["target"])
    for name in ROWS:
        said, _ = page.told(name)
        assert said


def test_the_page_is_what_was_measured():
    assert page.PAGE.read_text(encoding="utf-8") == page.page(MEASURED)
