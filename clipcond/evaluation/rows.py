"""Pictures to rows of the table: looked at, judged by every judge, and what went wrong said in the row."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from clipcond.clip import load_picture
from clipcond.errors import ClipcondError, ScoreError
from clipcond.evaluation.judges import Judge, Oracle, Verdicts, clip_of
from clipcond.evaluation.pictures import Picture
from clipcond.evaluation.prompts import Prompt
from clipcond.files import write_whole
from clipcond.gallery.metadata import read_told
from clipcond.score import Scores, of_each_that_can
from clipcond.score.features import checked_texts

Row = dict[str, Any]
ABOUT = ("model", "prompt", "category", "id", "seed", "file")  # columns before those of the judges
ERROR = "error"
TRUNCATED, MISSED = "_truncated", "_missed"  # endings of a judge's further columns


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture that was looked at; its image is None where its problem says why."""

    picture: Picture
    image: Image.Image | None


def look(picture: Picture) -> Seen:
    """Decode a picture, and read its prompt where it says that itself."""
    if picture.problem:
        return Seen(picture, None)
    try:
        image = load_picture(picture.file)
        if picture.prompt is None:
            picture = _as_told(picture)
        checked_texts([picture.prompt.text] if picture.prompt else [])
    except ClipcondError as error:
        said = str(error).removeprefix(f"{picture.file}: ")
        return Seen(replace(picture, problem=said), None)
    return Seen(picture, image)


def _as_told(picture: Picture) -> Picture:
    with Image.open(picture.file) as opened:
        told = read_told(opened)
    if told is None:
        raise ClipcondError(
            "nothing says its prompt: it has no PNG text of clipcond's or A1111's; name its prompt in a table"
        )
    return replace(
        picture, prompt=Prompt(told.text), seed=told.seed, model=told.model or picture.model
    )


def blank(judges: Mapping[str, Judge]) -> Row:
    """A judge's columns without values."""
    row: Row = {}
    for name, judge in judges.items():
        row[name] = None
        if isinstance(judge, Oracle):
            row[name + MISSED] = ""
        else:
            row[name + TRUNCATED] = False
    return row


def judge_rows(
    judges: Mapping[str, Judge], seen: Sequence[Seen], folder: Path
) -> tuple[list[Row], dict[str, Any]]:
    """(a row a picture, how each judge's numbers were made).

    Args:
        judges: by name; each judges all that it can.
        seen: pictures.
        folder: that the files of rows are relative to.
    """
    rows = [
        _about(each.picture, folder) | blank(judges) | {ERROR: each.picture.problem}
        for each in seen
    ]
    made: dict[str, Any] = {}
    for judge in judges.values():  # a shard is a function of its items alone
        if (scorer := clip_of(judge)) is not None:
            scorer.forget()
    images = {i: each.image for i, each in enumerate(seen) if each.image is not None}
    for name, judge in judges.items():
        texts = {place: str(rows[place]["prompt"]) for place in images}
        wrong: dict[int, str] = {}
        for places, scores in _scored(judge, images, texts, wrong):
            made[name] = scores.provenance
            for order, place in enumerate(places):
                rows[place] |= _cells(name, scores, order)
        for place, reason in wrong.items():
            said = [rows[place][ERROR], f"{name}: {reason}"]
            rows[place][ERROR] = "; ".join(filter(None, said))
    return rows, made


def _about(picture: Picture, folder: Path) -> Row:
    prompt = picture.prompt or Prompt("")
    file = Path(os.path.relpath(picture.file, folder)).as_posix()
    values = (picture.model, prompt.text, prompt.category, prompt.id, picture.seed, file)
    return dict(zip(ABOUT, values, strict=True))


def _cells(name: str, scores: Scores, place: int) -> Row:
    cells: Row = {name: float(scores.values[place])}
    if isinstance(scores, Verdicts):
        return cells | {name + MISSED: scores.missed[place]}
    return cells | {name + TRUNCATED: bool(scores.truncated[place])}


def _scored(
    judge: Judge,
    images: Mapping[int, Image.Image],
    texts: Mapping[int, str],
    wrong: dict[int, str],
) -> Iterator[tuple[list[int], Scores]]:
    """(places, their scores) of all that a judge can score; what it says of the others goes to `wrong`."""

    def score(some: Mapping[int, Image.Image]) -> Scores:
        return judge.score(list(some.values()), [texts[place] for place in some])

    try:
        done, reasons = of_each_that_can(images, score)
    except ScoreError as error:
        if len(images) == 1:
            wrong |= dict.fromkeys(images, str(error))
        else:
            for place, image in images.items():  # it does not say whose text it is
                yield from _scored(judge, {place: image}, texts, wrong)
    else:
        wrong |= reasons
        if done:
            yield done


def write_part(file: Path, rows: Sequence[Row], made: Mapping[str, Any], **more: Any) -> None:
    """A shard's file: how its numbers were made, then a row a line."""
    lines = [{"made": made, **more}, *rows]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_whole(file, lambda path: path.write_text(text, encoding="utf-8", newline="\n"))
