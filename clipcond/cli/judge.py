"""`clipcond score` and `clipcond rerank`: picture files against one prompt; a file that fails is named, the rest go on."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from tqdm import tqdm

from clipcond.cli.models import load_scorer
from clipcond.cli.terminal import note, write_json, write_table
from clipcond.clip import load_picture
from clipcond.errors import ScoreError
from clipcond.gallery.folder import is_grid
from clipcond.score import ClipScorer, Scores, rank
from clipcond.score.variants import find_variant


def run(arguments: argparse.Namespace) -> int:
    """Score the named files, or sort a folder's."""
    reranks = arguments.command == "rerank"
    variant = "cosine" if reranks else arguments.variant
    find_variant(variant)
    files = _pictures_in(Path(arguments.folder)) if reranks else [Path(f) for f in arguments.files]
    scorer = load_scorer(arguments.scorer)
    scored, scores, failures = _score_files(files, arguments.prompt, scorer, variant=variant)
    for failure in failures:
        note(failure)
    if scores is None:
        raise ScoreError(f"none of the {len(files)} files could be scored")
    if bool(scores.truncated.any()):
        note(
            f"the prompt is longer than the {scorer.clip.positions} tokens that CLIP reads; its end does not count"
        )
    if reranks:
        ranking = rank(scored, scores, arguments.top)
        _report(ranking.images, ranking.scores.tolist(), arguments, scores)
    else:
        _report(scored, scores.values.tolist(), arguments, scores)
    return 1 if failures else 0


def _score_files(
    files: Sequence[Path], prompt: str, scorer: ClipScorer, *, variant: str
) -> tuple[list[Path], Scores | None, list[str]]:
    """(files that could be scored, their scores, what went wrong with the others)."""
    scored: list[Path] = []
    failures: list[str] = []
    parts: list[Scores] = []
    with tqdm(total=len(files), unit="picture", disable=None, leave=False) as bar:
        for start in range(0, len(files), scorer.batch_size):
            batch = _load(files[start : start + scorer.batch_size], failures)
            if batch:
                parts.append(scorer.score(list(batch.values()), prompt, variant))
                scored += batch
            bar.update(min(scorer.batch_size, len(files) - start))
    if not parts:
        return scored, None, failures
    scores = Scores(
        values=torch.cat([part.values for part in parts]),
        truncated=torch.cat([part.truncated for part in parts]),
        variant=parts[0].variant,
        provenance=parts[0].provenance,
    )
    return scored, scores, failures


def _load(files: Sequence[Path], failures: list[str]) -> dict[Path, Image.Image]:
    loaded = {}
    for file in files:
        try:
            loaded[file] = load_picture(file)
        except ScoreError as error:
            failures.append(str(error))
    return loaded


def _pictures_in(folder: Path) -> list[Path]:
    """Files that Pillow knows by their ending, by name; our own contact sheets are no candidates."""
    if not folder.is_dir():
        raise ScoreError(f"{folder}: no such folder; name one that holds pictures")
    known = Image.registered_extensions()
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in known and not is_grid(f.name))
    if not files:
        raise ScoreError(f"{folder}: holds no picture")
    return files


def _report(
    files: Sequence[Path], values: Sequence[float], arguments: argparse.Namespace, scores: Scores
) -> None:
    if not arguments.json:
        rows = [
            [str(i + 1), f"{v:.4f}", str(f)]
            for i, (f, v) in enumerate(zip(files, values, strict=True))
        ]
        write_table(["", scores.variant.name, "file"], rows)
        return
    write_json(
        {
            "prompt": arguments.prompt,
            "pictures": [{"file": str(f), "score": v} for f, v in zip(files, values, strict=True)],
            "mean": scores.mean(),
            "truncated": bool(scores.truncated.any()),
            "provenance": scores.provenance,
        }
    )
