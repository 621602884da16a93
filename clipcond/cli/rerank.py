"""`clipcond rerank`: a folder's pictures, best first; the best may be moved to a folder of their own."""

import argparse
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from clipcond.cli.models import load_scorer
from clipcond.cli.pictures import load_each
from clipcond.cli.terminal import note, write_json, write_table
from clipcond.errors import ScoreError
from clipcond.score import ClipScorer, HeldOut, HeldOutWarning, Ranking, pictures_in, rerank


def run(arguments: argparse.Namespace) -> int:
    """Read one by one, rank, move, report."""
    files = pictures_in(Path(arguments.folder))
    if arguments.top is not None and arguments.top > len(files):
        raise ScoreError(
            f"top_k: got {arguments.top}; needs an integer from 1 to {len(files)}, the number of images"
        )
    scorer = load_scorer(arguments.scorer)
    judge = load_scorer(arguments.judge) if arguments.judge else None
    failures: list[str] = []
    read: list[Path] = []
    try:
        ranking = _rank(_noting(files, read, failures), arguments, scorer, judge)
    except ScoreError:
        if read:
            raise
        ranking = None  # the generator gave none
    for failure in failures:
        note(failure)
    if ranking is None:
        raise ScoreError(f"none of the {len(files)} files could be scored")
    if ranking.truncated:
        note(
            f"the prompt is longer than the {scorer.clip.positions} tokens that CLIP reads; its end does not count"
        )
    chosen = [read[i] for i in ranking.order]
    shown = move_all(chosen, Path(arguments.move)) if arguments.move else chosen
    _report(shown, ranking, arguments)
    return 1 if failures else 0


def _noting(files: Sequence[Path], read: list[Path], failures: list[str]) -> Iterator[Image.Image]:
    """Pictures that can be read; `read` holds their files in the same order."""
    for file, picture in load_each(files, failures):
        read.append(file)
        yield picture


def _rank(
    pictures: Iterator[Image.Image],
    arguments: argparse.Namespace,
    scorer: ClipScorer,
    judge: ClipScorer | None,
) -> Ranking:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeldOutWarning)  # said in the report
        return rerank(
            pictures,
            arguments.prompt,
            scorer,
            arguments.top,
            minimum=arguments.minimum,
            diversity=arguments.diversity,
            judge=judge,
        )


def move_all(files: Sequence[Path], folder: Path) -> list[Path]:
    """Move files into a folder, all or none; where they are now.

    Raises:
        ScoreError: one of the names is taken there, or the folder cannot be written.
    """
    targets = [folder / file.name for file in files]
    taken = [target for target in targets if target.exists()]
    if taken:
        raise ScoreError(f"{taken[0]}: is there already; name another folder to move to")
    moved: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, target in zip(files, targets, strict=True):
            shutil.move(file, target)
            moved.append((file, target))
    except OSError as error:
        for file, target in moved:
            shutil.move(target, file)
        raise ScoreError(
            f"{folder}: cannot move there ({error.strerror}); nothing was moved"
        ) from error
    return targets


def _report(files: Sequence[Path], ranking: Ranking, arguments: argparse.Namespace) -> None:
    scores = ranking.scores.tolist()
    judged = ranking.held_out.judge_scores.tolist() if ranking.held_out else None
    if arguments.json:
        pictures = [{"file": str(f), "score": v} for f, v in zip(files, scores, strict=True)]
        for picture, value in zip(pictures, judged or [], strict=False):
            picture["judge_score"] = value
        write_json(
            {
                "prompt": arguments.prompt,
                "pictures": pictures,
                "considered": ranking.considered,
                "mean": sum(scores) / len(scores) if scores else None,
                "truncated": ranking.truncated,
                "held_out": _gains(ranking.held_out) if ranking.held_out else None,
                "provenance": ranking.provenance,
            }
        )
        return
    columns = [[str(i) for i in range(1, len(files) + 1)], [f"{v:.4f}" for v in scores]]
    columns += [[f"{v:.4f}" for v in judged]] if judged else []
    rows = [list(row) for row in zip(*columns, map(str, files), strict=True)]
    write_table(["", "cosine", *(["judge"] if judged else []), "file"], rows)
    if not files:
        note(f"none of the {ranking.considered} pictures scores {arguments.minimum} or more")
    if ranking.held_out:
        note(_verdict(ranking.held_out))


def _gains(found: HeldOut) -> dict[str, object]:
    return {
        "gain": found.gain,
        "judge_gain": found.judge_gain,
        "alarm": found.alarm,
        "provenance": found.provenance,
    }


def _verdict(found: HeldOut) -> str:
    alarm = "; the judge sees no gain: beware" if found.alarm else ""
    return (
        f"chosen over all, in standard deviations: {found.gain:+.2f} by the scorer that chose, "
        f"{found.judge_gain:+.2f} by the judge{alarm}"
    )
