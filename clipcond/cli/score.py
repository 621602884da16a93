"""`clipcond score`: pictures against a prompt, or against the prompts that a table gives them."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image

from clipcond.cli.models import scorer_of
from clipcond.cli.pictures import in_batches, load_each, of_each_that_can
from clipcond.cli.terminal import note, write_json, write_table
from clipcond.errors import ScoreError
from clipcond.score import ClipScorer, Scores, join
from clipcond.score.features import checked_texts
from clipcond.score.tables import check_table, read_columns, write_rows
from clipcond.score.variants import find_variant


def run(arguments: argparse.Namespace) -> int:
    """Score, report, write the table."""
    find_variant(arguments.variant)
    if arguments.out:
        check_table(Path(arguments.out))
    prompts = _prompts(arguments)
    scorer = scorer_of(arguments)
    files, scores, failures = _score_files(prompts, scorer, variant=arguments.variant)
    for failure in failures:
        note(failure)
    if scores is None:
        raise ScoreError(f"none of the {len(prompts)} files could be scored")
    cut = int(scores.truncated.sum())
    if cut:
        note(
            f"{cut} of {len(files)} prompts are longer than the {scorer.clip.positions} tokens that CLIP reads; "
            "their ends do not count"
        )
    rows = [
        {"file": str(file), "prompt": prompts[file], "score": value, "truncated": was_cut}
        for file, value, was_cut in zip(
            files, scores.values.tolist(), scores.truncated.tolist(), strict=True
        )
    ]
    if arguments.out:
        write_rows(rows, Path(arguments.out))
    _report(rows, scores, arguments)
    return 1 if failures else 0


def _prompts(arguments: argparse.Namespace) -> dict[Path, str]:
    """The prompt of each file, paired by name, never by order.

    Raises:
        ScoreError: files without prompt, or both ways of giving prompts.
    """
    if arguments.prompt is not None:
        if not arguments.files:
            raise ScoreError("got no picture; name files, or a table with --prompts")
        return dict.fromkeys(map(Path, arguments.files), arguments.prompt)
    table = Path(arguments.prompts)
    listed = read_columns(table, ("file", "prompt"))
    paired = {table.parent / file: prompt for file, prompt in listed}
    if len(paired) < len(listed):
        raise ScoreError(f"{table}: names a file twice; give each one prompt")
    unpaired = [f for f in map(Path, arguments.files) if f not in paired]
    if unpaired:
        raise ScoreError(f"{unpaired[0]}: {table} has no prompt for it; add a row, or leave it out")
    return {f: paired[f] for f in map(Path, arguments.files)} or paired


def _score_files(
    prompts: Mapping[Path, str], scorer: ClipScorer, *, variant: str
) -> tuple[list[Path], Scores | None, list[str]]:
    """(files that could be scored, their scores, what went wrong with the others)."""
    scored: list[Path] = []
    failures: list[str] = []
    parts: list[Scores] = []
    fit = [file for file, prompt in prompts.items() if _is_text(prompt, file, failures)]
    for batch in in_batches(load_each(fit, failures), scorer.batch_size):
        done = of_each_that_can(batch, _scoring(scorer, prompts, variant), failures)
        if done:
            scored += done[0]
            parts.append(done[1])
    return scored, join(parts) if parts else None, failures


def _scoring(
    scorer: ClipScorer, prompts: Mapping[Path, str], variant: str
) -> Callable[[Mapping[Path, Image.Image]], Scores]:
    return lambda batch: scorer.score(list(batch.values()), [prompts[f] for f in batch], variant)


def _is_text(prompt: str, file: Path, failures: list[str]) -> bool:
    """Whether a prompt can be encoded; if not, its file joins the failures."""
    try:
        checked_texts([prompt])
    except ScoreError as error:
        failures.append(f"{file}: {error}")
        return False
    return True


def _report(
    rows: Sequence[Mapping[str, object]], scores: Scores, arguments: argparse.Namespace
) -> None:
    interval = scores.interval().as_dict() if len(scores) > 1 else None
    if arguments.json:
        write_json(
            {
                "prompt": arguments.prompt,
                "pictures": list(rows),
                "mean": scores.mean(),
                "interval": interval,
                "truncated": bool(scores.truncated.any()),
                "n_truncated": int(scores.truncated.sum()),
                "provenance": scores.provenance,
            }
        )
        return
    write_table(
        ["", scores.variant.name, "file"],
        [
            [
                str(i),
                f"{row['score']:.4f}",
                f"{row['file']}{'  (prompt cut)' if row['truncated'] else ''}",
            ]
            for i, row in enumerate(rows, start=1)
        ],
    )
    kind = "prompts" if len(set(scores.prompts)) > 1 else "pictures of one prompt"
    spread = (
        f" (95 % interval over {interval['clusters']} {kind}: {interval['low']:.4f} to {interval['high']:.4f})"
        if interval
        else ""
    )
    note(f"mean {scores.mean():.4f}{spread}, {int(scores.truncated.sum())} prompts truncated")
    made = scores.provenance
    note(
        f"scored by {made['scorer']} (weights {made['weights_sha256'][:12]}), {made['variant']['name']}, "
        f"{made['crop']}, {made['dtype']}"
    )
