"""Two ways of drawing compared on the same prompts and seeds, by what `clipcond evaluate` itself does and says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from clipcond import emoji
from clipcond.clip import load_picture
from clipcond.errors import ClipcondError
from clipcond.evaluation import Oracle, Prompt, PromptSet, Setting
from clipcond.evaluation.comparing import ALPHA, Contrast
from clipcond.evaluation.job import draw_and_judge
from clipcond.evaluation.judges import Judge
from clipcond.evaluation.plots import colors, means
from clipcond.evaluation.record import Record, compare, contestants
from clipcond.evaluation.report import require_extra
from clipcond.evaluation.sheet import Card, sheets

from .denoiser import called
from .null import CAPTIONS
from .stream import Emit
from .studio import Step, Studio
from .view import mark, verdict_line

MIXED = "all kinds"
LEAST, MOST = 4, 48  # prompts
ORACLE = "oracle"
_SHOWN = 4  # pairs of pictures for which each does better
_TROUBLES = 5  # that are said one by one
_TINY = 0.001  # a p-value below is not told apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is compared on what.

    Attributes:
        settings: two of them.
        prompts: drawn by both.
        seed: of every picture.
    """

    settings: tuple[Setting, Setting]
    prompts: PromptSet
    seed: int


def two(
    studio: Studio, first: Mapping[str, Any], second: Mapping[str, Any]
) -> tuple[Setting, Setting]:
    """Two settings of the studio's pipeline, each named by what it has of its own.

    Args:
        studio: that draws.
        first: fields of `Setting`.
        second: the same fields.

    Raises:
        ClipcondError: they are the same, or a value that cannot be.
    """
    own = [name for name in first if first[name] != second[name]]
    if not own:
        raise ClipcondError("A and B: both are the same; change something in one of them")
    a, b = (
        Setting(
            **values,
            model=studio.pipe,
            name=f"{side}: " + ", ".join(_WORDS[name].format(values[name]) for name in own),
        )
        for side, values in (("A", first), ("B", second))
    )
    return a, b


# a setting's value in words
_WORDS = {
    "steps": "{} steps",
    "guidance_scale": "guidance {:g}",
    "weighting": "weighting {}",
    "template": "“{}”",
}


def sets(studio: Studio) -> dict[str, tuple[str, ...]]:
    """The prompts that there are, by name; the first holds a bit of all."""
    if not studio.shipped:
        return {"everyday captions": CAPTIONS}
    tasks = emoji.tasks()
    mixed = tuple(prompt for together in zip(*tasks.values(), strict=True) for prompt in together)
    return {MIXED: mixed, **{name: tuple(prompts) for name, prompts in tasks.items()}}


def prompts(studio: Studio, name: str, count: int, typed: Sequence[str]) -> PromptSet:
    """The prompts that are asked for. They have no categories, so that one question is asked and not one for each.

    Args:
        studio: that draws.
        name: of a set.
        count: of its prompts.
        typed: prompts in place of the set's, if there are any.

    Raises:
        ClipcondError: no such set, or typed ones that are too few or too many.
    """
    if typed:
        texts = list(dict.fromkeys(typed))
        if not LEAST <= len(texts) <= MOST:
            raise ClipcondError(
                f"prompts: got {len(texts)} different ones; needs {LEAST} to {MOST}, a line each"
            )
    else:
        known = sets(studio)
        if name not in known:
            raise ClipcondError(f"prompt set: got {name!r}; choose among {', '.join(known)}")
        texts = list(known[name][:count])
    return PromptSet(tuple(Prompt(text) for text in texts))


def evaluate(studio: Studio, question: Question, folder: Path, emit: Emit) -> Record:
    """Draw and judge into a folder; emits a `Step` at each look of the denoiser.

    Raises:
        ClipcondError: nothing can be judged, or a report's libraries are missing.
        Stopped: from `emit`.
    """
    require_extra()
    judges: dict[str, Judge] = {ORACLE: Oracle()} if studio.shipped else {}
    judges |= {name: studio.scorers[name] for name in reversed(studio.scorers)}
    look = _counting(studio, question, emit)
    with studio.turn, called(studio.pipe, lambda _: look()):
        draw_and_judge(
            question.settings,
            question.prompts,
            judges,
            folder,
            seeds=range(question.seed, question.seed + 1),
            batch_size=studio.batch_size,
            device=str(studio.pipe.device),
            dtype=studio.pipe.dtype,
        )
    found = Record(folder)
    if not found.standings:
        raise ClipcondError(f"none of the pictures could be judged: {found.failures[0]}")
    return found


def _counting(studio: Studio, question: Question, emit: Emit) -> Callable[[], None]:
    """What says at each call of the denoiser how many of all are done, as far as that can be known."""
    batches = -(-len(question.prompts.prompts) // studio.batch_size)
    total = batches * sum(studio.looks(setting.steps or 1) for setting in question.settings)
    seen = 0

    def look() -> None:
        nonlocal seen
        emit(Step(done=min(1.0, seen / total), previews=()))
        seen += 1

    return look


def told(record: Record) -> str:
    """Who is better to whom, how sure that is, and the pictures that differ most."""
    found = compare([record])
    circular = {name for own in record.about["circular"].values() for name in own}
    verdicts = "".join(_verdict(record, each, circular=each.scorer in circular) for each in found)
    return f'<section class="contest">{verdicts}</section>{_troubles(record)}{_pictures(record, found[0])}'


def _verdict(record: Record, contrast: Contrast, *, circular: bool) -> str:
    """What one judge says: a sentence, its numbers and both means."""
    standings = [each for each in record.standings if each.scorer == contrast.scorer]
    percent = contrast.scorer == ORACLE
    unit = "share of pictures as asked" if percent else "cosine"
    sure = "good" if contrast.p_holm < ALPHA else "unsure"
    note = (
        '<p class="faint">It also conditioned the pictures, which flatters them.</p>'
        if circular
        else ""
    )
    plot = means(standings, unit, colors([each.model for each in standings]))
    return (
        f'<div class="said"><h4>{escape(contrast.scorer)}</h4><p class="verdict-line {sure}">{escape(_sentence(contrast))}</p>'
        f'<p class="faint num">{escape(_numbers(contrast, percent=percent))}</p>{note}{plot}</div>'
    )


def _sentence(contrast: Contrast) -> str:
    """The verdict, as `clipcond evaluate compare` says it."""
    said = contrast.verdict
    return said[:1].upper() + said[1:] + "."


def _numbers(contrast: Contrast, *, percent: bool) -> str:
    """By how much the one that leads does, the interval, and how often each wins."""

    def number(value: float) -> str:
        return f"{100 * value:.1f}" if percent else f"{value:.4f}"

    leads, ends = contrast.first, (contrast.low, contrast.high)
    more, less = contrast.wins, contrast.losses
    if contrast.difference < 0:
        leads, ends = contrast.second, (-contrast.high, -contrast.low)
        more, less = less, more
    points = " points" if percent else ""
    low, high = map(number, ends)
    chance = f"p = {contrast.p_holm:.3f}" if contrast.p_holm >= _TINY else f"p < {_TINY}"
    return (
        f"“{leads}” leads by {number(abs(contrast.difference))}{points}, 95 % from {low} to {high}, {chance}: "
        f"higher in {more:.0%} of {contrast.pairs} prompts, lower in {less:.0%}."
    )


def _troubles(record: Record) -> str:
    """What could not be drawn or judged."""
    lines = [f'<p class="cut">{escape(line)}</p>' for line in record.failures[:_TROUBLES]]
    more = len(record.failures) - _TROUBLES
    lines += [f'<p class="faint">and {more} more</p>'] if more > 0 else []
    return f'<section class="told">{"".join(lines)}</section>' if lines else ""


def _pictures(record: Record, contrast: Contrast) -> str:
    """The prompts on which the two differ most to the first judge, both pictures side by side."""
    models = contestants([record])
    first, second = models
    shown = [
        sheet
        for sheet in sheets([record], models, [contrast.scorer], (first, second))
        if len(sheet.cards[0].rows) == 2
    ]
    parts = [
        f"<h4>{escape(sheet.title)}</h4>"
        f'<div class="pairs">{"".join(_pair(record, card, contrast.scorer) for card in sheet.cards[:_SHOWN])}</div>'
        for sheet in shown
    ]
    none = f'<p class="faint">To {escape(contrast.scorer)} no picture of the one is better than the other’s.</p>'
    return f'<section class="told differ">{"".join(parts) or none}</section>'


def _pair(record: Record, card: Card, judge: str) -> str:
    cells = "".join(
        f'<figure class="card"><img src="{escape(row["image"])}" alt="{escape(row["model"])}: {escape(card.prompt)}">'
        f"<figcaption>{escape(row['model'])}<br>{_said(record, row, judge)}</figcaption></figure>"
        for row in card.rows
    )
    return f'<div class="pair"><p dir="auto">{escape(card.prompt)}</p><div>{cells}</div></div>'


def _said(record: Record, row: Mapping[str, Any], judge: str) -> str:
    """What the judge says of one picture."""
    if judge != ORACLE:
        return f'<span class="num faint">{row[judge]:.3f}</span>'
    seen = load_picture(record.folder / row["file"])
    return verdict_line(mark(emoji.check(seen, emoji.expected(row["prompt"]))))
