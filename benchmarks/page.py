"""`python -m benchmarks.page`: docs/performance.md, from what `python -m benchmarks --json benchmarks/rows.json` measured."""

import ast
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "rows.json", ROOT / "docs" / "performance.md"
_TOWERS = (
    "weights32",
    "long_weights",
    "sd_batch_cfg",
    "sdxl_dual",
    "text_pooled",
    "clipscore_mem",
    "rerank",
)
_HEAD = """# How fast it is, and beside whom

```sh
make bench-install                            # an environment with the peers: compel, torchmetrics, open_clip, faiss, LMDB, ...
make bench                                    # all rows and this page, on an idle machine, in about a quarter of an hour
.venv-bench/bin/python -m benchmarks parse sd_batch_cfg --json out/rows.json
.venv-bench/bin/python -m benchmarks --device cuda --json out/rows-gpu.json
```

Each row does one thing in two ways, this library's and a peer's, on the same inputs and with the same weights (of published shapes, with random
numbers), in one process. That both give the same is checked first. Then they take turns; a ratio is the median of those of the rounds, with the
worst and the best one behind it, and over 1 means that this library is better. On a CPU one thread is used, and the time of the process counts. “Of the
limit” says at what share of the rate of matrix products of these shapes, measured in the same run, the least work that gives the result was done
(or what else a row names as its limit). Targets were set before the rows were run; what is missed is said.

"""

# what was printed there; the file that was to keep it was cut off
_ON_A_GPU = """On a GPU one row was run so far, `python -m benchmarks sd_batch_cfg --device cuda` on an H100 80GB with torch 2.11, and both targets were missed: 0.76
(0.75 to 0.81) of diffusers' prompts a second for 32 different ones and 0.78 (0.76 to 0.88) for 64 of which 8 differ. With three layers there the forward
takes so little that the host's work decides, and ours read every prompt anew, the default negative one 32 times. Since then a prompt that comes
again is read once; this has not been measured again on a GPU.

"""


def page(measured: dict[str, Any]) -> str:
    """The page's text."""
    machine, rows = measured["machine"], measured["rows"]
    missed = [row for row in rows if not row["met"]]
    targets = sum(row["target"] is not None for row in rows)
    lines = [
        _HEAD,
        f"Measured on {machine['cpu']} ({machine['instructions']}, {machine['cores']} cores), device {machine['device']}, Python {machine['python']}, torch "
        f"{machine['torch']}, transformers {machine['transformers']}, diffusers {machine['diffusers']}: {targets - len(missed)} of {targets} targets "
        "reached.\n\n",
        _ON_A_GPU,
        _towers(rows),
        *_summary(rows),
    ]
    for name, own in groupby(rows, key=lambda row: row["row"].partition("/")[0]):
        lines += _section(name, list(own))
    return "".join(lines)


def _towers(rows: list[dict[str, Any]]) -> str:
    """What the rows of text towers reach of the limit."""
    own = [row["limit_share"] for row in rows if row["row"].partition("/")[0] in _TOWERS]
    return (
        f"Rows of towers reach {100 * min(own):.0f} to {100 * max(own):.0f} % of the limit; the aim was 80 %. Not counted in it are the activation function, "
        "attention's softmax, norms and tokenising, most of which is transformers' own code, and the same in both.\n\n"
    )


def _summary(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "| | beside | ratio | target |\n|---|---|---|---|\n"
    for row in rows:
        if row["target"] is None:
            continue
        name, what, peer = row["row"].split("/", 2)
        mark = "reached" if row["met"] else "**missed**"
        yield f"| [{name}](#{name}), {what} | {peer} | {_figure(row['ratio'])} | {_figure(row['target'])} {mark} |\n"
    yield "\n"


def told(name: str) -> tuple[str, str]:
    """(what a row measures, why what it misses is the limit), read in its file: importing it would import its peers."""
    tree = ast.parse((ROOT / "benchmarks" / "rows" / f"{name}.py").read_text(encoding="utf-8"))
    tried = (
        ast.literal_eval(each.value)
        for each in tree.body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "TRIED"
    )
    return ast.get_docstring(tree) or "", next(tried, "")


def _section(name: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    said, tried = told(name)
    yield f"## {name}\n\n{said}\n\n"
    yield "| what | beside | ours | theirs | | ratio (worst to best) | of the limit |\n|---|---|---|---|---|---|---|\n"
    for row in rows:
        _, what, peer = row["row"].split("/", 2)
        share = "" if row["limit_share"] is None else f"{100 * row['limit_share']:.0f} %"
        spread = (
            f"{_figure(row['ratio'])} ({_figure(row['ratio_min'])} to {_figure(row['ratio_max'])})"
        )
        yield f"| {what} | {peer} | {_figure(row['ours'])} | {_figure(row['peer'])} | {row['unit']} | {spread} | {share} |\n"
    yield "\n"
    missed = [row["row"].split("/", 2) for row in rows if not row["met"]]
    if missed:
        named = "; ".join(f"{what} beside {peer}" for _, what, peer in missed)
        yield f"Missed: {named}. {tried}\n\n"


def _figure(value: float) -> str:
    """Three digits that count."""
    if value < 1e-6:
        return "0"
    if value >= 1e8:
        return "all"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main() -> None:
    """Write it."""
    PAGE.write_text(page(json.loads(RESULTS.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
