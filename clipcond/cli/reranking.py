"""The work of `clipcond rerank`: a folder's pictures, best first; the best may be moved to a folder of their own."""

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from clipcond.cli.loading import load_scorer
from clipcond.cli.rerank import Request
from clipcond.cli.terminal import note, write_json, write_table
from clipcond.errors import HeldOutWarning, ScoreError
from clipcond.score import (
    ClipScorer,
    HeldOut,
    PictureError,
    Ranking,
    Skipped,
    pictures_in,
    rerank,
)


def run(request: Request) -> int:
    """Look for pictures, rank their files, move, report."""
    files, passed_over = _pictures(request.folder, request.move)
    if request.top is not None and request.top > len(files):
        raise ScoreError(
            f"top_k: got {request.top}; needs an integer from 1 to {len(files)}, the number of images"
        )
    scorer, judge = load_scorer(request.clip), None
    if request.judge:  # run as the scorer is; its tokenizer and activation are its own
        own = replace(request.clip, scorer=request.judge, tokenizer=None, quick_gelu=None)
        judge = load_scorer(own)
    try:
        ranking = _rank(files, request, scorer, judge)
    except PictureError as error:
        for place, reason in error.reasons.items():
            note(f"{files[place]}: {reason.removeprefix(f'{files[place]}: ')}")
        raise ScoreError(f"none of the {len(files)} files could be scored") from error
    skipped = [*passed_over, *ranking.skipped]
    for each in skipped:
        note(f"{each.item}: {each.reason}{'' if each.failed else '; passed over'}")
    for name, reader in _that_cut(ranking, scorer, judge).items():
        note(
            f"the prompt is longer than the {reader.clip.positions} tokens that {name} reads; its end does not count"
        )
    chosen = [files[i] for i in ranking.order]
    shown = move_all(chosen, request.move, request.folder) if request.move else chosen
    _report(shown, ranking, skipped, request)
    return 1 if any(each.failed for each in skipped) else 0


def _that_cut(
    ranking: Ranking, scorer: ClipScorer, judge: ClipScorer | None
) -> dict[str, ClipScorer]:
    """Those to which the prompt was too long, by what a user calls them."""
    found = {"CLIP": scorer} if ranking.truncated else {}
    if judge and ranking.held_out and ranking.held_out.truncated:
        found["the judge"] = judge
    return found


def _pictures(folder: Path, move: Path | None) -> tuple[list[Path], list[Skipped]]:
    """The folder's pictures but for those of earlier runs in the folder to move to, and what was passed over."""
    files, skipped = pictures_in(folder, on_error="skip")
    out = (move or folder).resolve()
    if folder.resolve() not in out.parents:
        return files, skipped
    others = [file for file in files if out not in file.resolve().parents]
    if not others:
        raise ScoreError(f"{folder}: holds no picture but those in {move}")
    if len(others) < len(files):
        skipped.append(Skipped(move or folder, "is where --move puts the best", failed=False))
    return others, skipped


def _rank(
    files: Sequence[Path],
    request: Request,
    scorer: ClipScorer,
    judge: ClipScorer | None,
) -> Ranking:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeldOutWarning)  # said in the report
        return rerank(
            iter(tqdm(files, unit="picture", disable=None, leave=False)),
            request.prompt,
            scorer,
            request.top,
            minimum=request.minimum,
            diversity=request.diversity,
            judge=judge,
            on_error="skip",
        )


def move_all(files: Sequence[Path], folder: Path, root: Path | None = None) -> list[Path]:
    """Move files into a folder, all or none; where they are now.

    Args:
        files: what to move.
        folder: where to, made if it is not there.
        root: keeps their places in the folders below it; None: all go side by side.

    Raises:
        ScoreError: one of the names is taken there, or the folder cannot be written.
    """
    targets = [folder / (file.relative_to(root) if root else file.name) for file in files]
    taken = [target for target in targets if target.exists()]
    if taken:
        raise ScoreError(f"{taken[0]}: is there already; name another folder to move to")
    moved: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, target in zip(files, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(file, target)
            moved.append((file, target))
    except OSError as error:
        for file, target in moved:
            shutil.move(target, file)
        raise ScoreError(
            f"{folder}: cannot move there ({error.strerror}); nothing was moved"
        ) from error
    return targets


def _report(
    files: Sequence[Path],
    ranking: Ranking,
    skipped: Sequence[Skipped],
    request: Request,
) -> None:
    scores = ranking.scores.tolist()
    judged = ranking.held_out.judge_scores.tolist() if ranking.held_out else None
    if request.json:
        pictures = [{"file": str(f), "score": v} for f, v in zip(files, scores, strict=True)]
        for picture, value in zip(pictures, judged or [], strict=False):
            picture["judge_score"] = value
        write_json(
            {
                "prompt": request.prompt,
                "pictures": pictures,
                "considered": ranking.considered,
                "mean": sum(scores) / len(scores) if scores else None,
                "truncated": ranking.truncated,
                "skipped": [
                    {"file": str(s.item), "reason": s.reason, "failed": s.failed} for s in skipped
                ],
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
        note(f"none of the {ranking.considered} pictures scores {request.minimum} or more")
    if ranking.held_out:
        note(_verdict(ranking.held_out))


def _gains(found: HeldOut) -> dict[str, object]:
    return {
        "gain": found.gain,
        "judge_gain": found.judge_gain,
        "alarm": found.alarm,
        "truncated": found.truncated,
        "provenance": found.provenance,
    }


def _verdict(found: HeldOut) -> str:
    alarm = "; the judge sees no gain: beware" if found.alarm else ""
    return (
        f"chosen over all, in standard deviations: {found.gain:+.2f} by the scorer that chose, "
        f"{found.judge_gain:+.2f} by the judge{alarm}"
    )
