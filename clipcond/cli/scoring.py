"""The work of `clipcond score`: pictures against a prompt, or against the prompts that a table gives them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from clipcond.cli.loading import load_scorer
from clipcond.cli.pictures import in_batches, load_each
from clipcond.cli.score import Request
from clipcond.cli.terminal import note, write_json, write_table
from clipcond.clip.preprocess import Picture
from clipcond.errors import ScoreError
from clipcond.score import ClipScorer, Scores, join, of_each_that_can
from clipcond.score.features import checked_texts
from clipcond.score.variants import find_variant
from clipcond.tables import Column, check_table, read_rows, write_rows

Pair = tuple[Path, str]  # a picture's file, and a prompt


def run(request: Request) -> int:
    """Score, report, write the table."""
    find_variant(request.variant)
    if request.out:
        check_table(request.out)
    pairs = _pairs(request)
    scorer = load_scorer(request.clip)
    places, scores, failures = _score_pairs(pairs, scorer, variant=request.variant)
    for failure in failures:
        note(failure)
    if scores is None:
        raise ScoreError(f"none of the {len({file for file, _ in pairs})} files could be scored")
    cut = int(scores.truncated.sum())
    if cut:
        note(
            f"{cut} of {len(places)} prompts are longer than the {scorer.clip.positions} tokens that CLIP reads; "
            "their ends do not count"
        )
    scored = zip(places, scores.values.tolist(), scores.truncated.tolist(), strict=True)
    rows = [
        {"file": str(pairs[i][0]), "prompt": pairs[i][1], "score": value, "truncated": was_cut}
        for i, value, was_cut in sorted(scored)
    ]
    if request.out:
        write_rows(rows, request.out)
    _report(rows, scores, prompt=request.prompt, json=request.json)
    return 1 if failures else 0


def _pairs(request: Request) -> list[Pair]:
    """Files and what they are scored against, paired by name, never by order; a file may come with several prompts.

    Raises:
        ClipcondError: files without prompt, or both ways of giving prompts, or a table that cannot be read.
    """
    names = {"--file-column": request.file_column, "--prompt-column": request.prompt_column}
    if request.prompts is None:
        if not request.files:
            raise ScoreError("got no picture; name files, or a table with --prompts")
        if list(names.values()) != ["file", "prompt"]:
            raise ScoreError("--file-column and --prompt-column are of a table: give --prompts")
        return [(file, request.prompt or "") for file in dict.fromkeys(request.files)]
    table = request.prompts
    columns = [Column(name, option) for option, name in names.items()]
    listed = [(table.parent / file, prompt) for file, prompt in read_rows(table, columns)]
    if not request.files:
        return listed
    places = _by_file(listed, range(len(listed)))
    wanted = list(dict.fromkeys(request.files))
    unpaired = [file for file in wanted if file not in places]
    if unpaired:
        raise ScoreError(f"{unpaired[0]}: {table} has no prompt for it; add a row, or leave it out")
    return [listed[place] for file in wanted for place in places[file]]


def _by_file(pairs: Sequence[Pair], places: Iterable[int]) -> dict[Path, list[int]]:
    """At which of the places each file is."""
    found: dict[Path, list[int]] = {}
    for place in places:
        found.setdefault(pairs[place][0], []).append(place)
    return found


def _score_pairs(
    pairs: Sequence[Pair], scorer: ClipScorer, *, variant: str
) -> tuple[list[int], Scores | None, list[str]]:
    """(places of the pairs that could be scored, their scores, what went wrong with the others)."""
    scored: list[int] = []
    failures: list[str] = []
    parts: list[Scores] = []

    def of_batch(batch: Mapping[Path, Picture]) -> Scores:
        prompts = [[pairs[place][1] for place in by_file[file]] for file in batch]
        return _score_each(list(batch.values()), prompts, scorer, variant=variant)

    fit = [i for i, (file, prompt) in enumerate(pairs) if _is_text(prompt, file, failures)]
    by_file = _by_file(pairs, fit)
    for batch in in_batches(load_each(list(by_file), failures, scorer), scorer.batch_size):
        done, wrong = of_each_that_can(batch, of_batch)
        failures += [f"{file}: {reason}" for file, reason in wrong.items()]
        if done:
            scored += [place for file in done[0] for place in by_file[file]]
            parts.append(done[1])
    return scored, join(parts) if parts else None, failures


def _score_each(
    pictures: Sequence[Picture],
    prompts: Sequence[Sequence[str]],
    scorer: ClipScorer,
    *,
    variant: str,
) -> Scores:
    """Each picture against its own prompts, one after the other; pictures are encoded once."""
    chosen = find_variant(variant)
    texts = [text for own in prompts for text in own]
    text = scorer.text_features([chosen.prefix + text for text in texts])
    counts = torch.tensor([len(own) for own in prompts])
    features = scorer.image_features(pictures).repeat_interleave(counts, dim=0)
    return scorer.scores(
        chosen.of_cosine((features * text.features).sum(dim=-1)),
        truncated=text.truncated,
        variant=chosen,
        prompts=texts,
    )


def _is_text(prompt: str, file: Path, failures: list[str]) -> bool:
    """Whether a prompt can be encoded; if not, its file joins the failures."""
    try:
        checked_texts([prompt])
    except ScoreError as error:
        failures.append(f"{file}: {error}")
        return False
    return True


def _report(
    rows: Sequence[Mapping[str, object]], scores: Scores, *, prompt: str | None, json: bool
) -> None:
    interval = scores.interval().as_dict() if len(scores) > 1 else None
    if json:
        write_json(
            {
                "prompt": prompt,
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
