"""The work of `clipcond classify`: which of some classes each picture shows, and how often that is right where the truth is known."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from clipcond.cli.classify import Request
from clipcond.cli.loading import load_scorer
from clipcond.cli.pictures import in_batches, load_each
from clipcond.cli.terminal import note, write_json, write_table
from clipcond.errors import ScoreError
from clipcond.score import Classifier, ClipScorer, build_classifier, of_each_that_can
from clipcond.score.classifier import UNKNOWN
from clipcond.score.confusion import Confusion, confusion_of
from clipcond.score.features import quoted
from clipcond.score.zeroshot import TEMPLATES
from clipcond.tables import Column, read_rows, write_rows


def run(request: Request) -> int:
    """Build or load the classifier, answer for each file, compare with the truth."""
    _check_options(request)
    truth = _truth(request)
    scorer = load_scorer(request.clip)
    classifier = _classifier(request, scorer)
    classifier.check(scorer)
    top = min(request.top, len(classifier.classes))
    failures: list[str] = []
    rows: list[dict[str, Any]] = []
    for batch in in_batches(load_each(request.files, failures, scorer), scorer.batch_size):
        done, wrong = of_each_that_can(batch, lambda b: scorer.image_features(list(b.values())))
        failures += [f"{file}: {reason}" for file, reason in wrong.items()]
        rows += _answers(*done, classifier, top) if done else []
    for line in [*failures, *_remarks(classifier, scorer)]:
        note(line)
    if not rows:
        raise ScoreError(f"none of the {len(request.files)} files could be classified")
    if request.save:
        classifier.save(request.save)
    found = _compare(rows, truth, classifier) if truth else None
    if found and request.out:
        request.out.mkdir(parents=True, exist_ok=True)
        write_rows(found.rows(), request.out / "confusion.csv")
        write_rows(found.per_class(), request.out / "per_class.csv")
    _report(rows, found, classifier, request)
    return 1 if failures else 0


def _check_options(request: Request) -> None:
    if request.out and not request.truth:
        raise ScoreError("--out: writes how often answers are right, which needs --truth")
    if request.classifier and (request.template or request.unknown):
        raise ScoreError(
            "--classifier: has its templates and other names inside; leave --template and --unknown out"
        )
    if request.prompts and request.template:
        raise ScoreError("--template: prompts of --prompts go into no template; leave it out")


def _truth(request: Request) -> dict[Path, str]:
    """The class of each file by the table, paired by name.

    Raises:
        ScoreError: a file of the command line that the table does not have, or a file of two classes.
    """
    if not request.truth:
        return {}
    table = request.truth
    columns = [
        Column(request.file_column, "--file-column"),
        Column(request.class_column, "--class-column"),
    ]
    found: dict[Path, str] = {}
    for file, name in read_rows(table, columns):
        if found.setdefault(table.parent / file, name) != name:
            raise ScoreError(
                f"{table}: says that {file} is {found[table.parent / file]!r} and {name!r}; keep one row of it"
            )
    for wanted in request.files:
        if wanted not in found:
            raise ScoreError(f"{wanted}: {table} has no class for it; add a row, or leave it out")
    return found


def _classifier(request: Request, scorer: ClipScorer) -> Classifier:
    if request.classifier:
        return Classifier.load(request.classifier)
    null = _lines(request.unknown) if request.unknown else []
    templates = request.template or TEMPLATES
    if request.prompts:
        return build_classifier(_json_object(request.prompts), scorer, templates, null=null)
    names = [[n.strip() for n in own.split("|")] for own in (request.classes or "").split(",")]
    if any(not name for own in names for name in own):
        raise ScoreError(f"--classes: got {request.classes!r}, with an empty name in it")
    return build_classifier(names, scorer, templates, null=null)


def _remarks(classifier: Classifier, scorer: ClipScorer) -> list[str]:
    """What one should know about the classes' texts."""
    cut, own = classifier.truncated, classifier.provenance.get("null_passed_over", [])
    return [
        *[
            f"{quoted(text)} is longer than the {scorer.clip.positions} tokens that CLIP reads; its end does not count"
            for text in cut
        ],
        *[f"--unknown: {name!r} is a class, and does not count among the others" for name in own],
    ]


def _answers(
    files: Sequence[Path], features: torch.Tensor, classifier: Classifier, top: int
) -> list[dict[str, Any]]:
    probabilities = classifier.probabilities(features)
    unknown = (
        classifier.unknown(features)
        if len(classifier.null)
        else torch.zeros(len(files), dtype=torch.bool)
    )
    best = probabilities.topk(top)
    return [
        {
            "file": str(file),
            "class": UNKNOWN if nothing else classifier.classes[places[0]],
            "top": [[classifier.classes[i], p] for i, p in zip(places, values, strict=True)],
        }
        for file, nothing, places, values in zip(
            files, unknown.tolist(), best.indices.tolist(), best.values.tolist(), strict=True
        )
    ]


def _compare(
    rows: Sequence[Mapping[str, Any]], truth: Mapping[Path, str], classifier: Classifier
) -> Confusion:
    return confusion_of(
        [truth[Path(row["file"])] for row in rows],
        [row["class"] for row in rows],
        [*classifier.classes, *([UNKNOWN] if len(classifier.null) else [])],
    )


def _report(
    rows: Sequence[Mapping[str, Any]],
    found: Confusion | None,
    classifier: Classifier,
    request: Request,
) -> None:
    accuracy = found.accuracy.as_dict() if found and len(rows) > 1 else None
    if request.json:
        result: dict[str, Any] = {
            "pictures": list(rows),
            "classes": list(classifier.classes),
            "truncated": list(classifier.truncated),
        }
        if found:
            result |= {"accuracy": accuracy, "per_class": found.per_class()}
        write_json({**result, "provenance": classifier.provenance})
        return
    write_table(
        ["", "class", "probabilities", "file"],
        [
            [str(i), row["class"], "  ".join(f"{n} {p:.3f}" for n, p in row["top"]), row["file"]]
            for i, row in enumerate(rows, start=1)
        ],
    )
    if accuracy:
        note(
            f"right: {100 * accuracy['mean']:.1f} % (95 % interval {100 * accuracy['low']:.1f} to "
            f"{100 * accuracy['high']:.1f}) of {len(rows)} pictures"
        )


def _lines(file: Path) -> list[str]:
    try:
        names = [line.strip() for line in file.read_text(encoding="utf-8-sig").split("\n")]
    except (OSError, ValueError) as error:
        raise ScoreError(
            f"{file}: unreadable ({error}); name a text file, one name a line"
        ) from error
    return [name for name in names if name]


def _json_object(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScoreError(f"{file}: not readable as JSON ({error}); write it again") from error
    if not isinstance(content, dict):
        raise ScoreError(f"{file}: holds {type(content).__name__}, not an object of class: prompts")
    return content
