"""One word of a prompt at several weights, in several weighting modes: the pictures and what CLIP says of the word."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from PIL import Image

from clipcond.errors import ClipcondError
from clipcond.generation import plain_text

from .settings import Settings
from .stream import Emit
from .studio import Step, Studio, Watcher, draw_each, judged
from .view import picture

WEIGHTS = (0.2, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0)
MAX_MODES = 4
_COLUMN, _HEIGHT, _TOP = 100, 170, 24  # of the chart, in its own units


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One mode.

    Attributes:
        mode: its name.
        pictures: one a weight.
        scores: cosine of each with the word.
        right: whether the oracle finds all that was asked; None where it cannot tell.
        truncated: whether the word is longer than CLIP reads.
    """

    mode: str
    pictures: tuple[Image.Image, ...]
    scores: tuple[float, ...]
    right: tuple[bool | None, ...]
    truncated: bool = False


def weighted(prompt: str, word: str, weight: float) -> str:
    """The prompt with the first such word at a weight, in A1111's syntax.

    Raises:
        ClipcondError: the prompt does not hold the word.
    """
    word = word.strip()
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", prompt) if word else None
    if not found:
        raise ClipcondError(f"word: {word!r} is not in {prompt!r}; type one of its words")
    return f"{prompt[: found.start()]}({word}:{weight:g}){prompt[found.end() :]}"


def sweep(
    studio: Studio, settings: Settings, word: str, *, modes: list[str], emit: Emit
) -> Iterator[Row]:
    """Draw a row a mode, all of one seed; emits a `Step` after each denoising step.

    Raises:
        ClipcondError: no such word, or no mode or too many.
        Stopped: from `emit`.
    """
    if not 1 <= len(modes) <= MAX_MODES:
        raise ClipcondError(f"modes: got {len(modes)}; choose 1 to {MAX_MODES}")
    prompts = [weighted(settings.prompt, word, weight) for weight in WEIGHTS]
    batches = -(-len(prompts) // studio.batch_size)
    watcher = Watcher(emit, batches=batches * len(modes))
    for mode in modes:
        pictures = _row(studio, settings, prompts, mode=mode, watcher=watcher)
        scores = studio.scorer.score(list(pictures), word.strip())
        yield Row(
            mode=mode,
            pictures=pictures,
            scores=tuple(scores.values.tolist()),
            truncated=bool(scores.truncated.any()),
            right=_right(studio, pictures, prompts[0]),
        )


def _row(
    studio: Studio, settings: Settings, prompts: list[str], *, mode: str, watcher: Watcher
) -> tuple[Image.Image, ...]:
    conditioner = studio.read_as("a1111", mode)
    return draw_each(
        studio,
        prompts,
        [settings.seed] * len(prompts),
        settings,
        conditioner=conditioner,
        on_step=watcher,
    )


def _right(
    studio: Studio, pictures: tuple[Image.Image, ...], prompt: str
) -> tuple[bool | None, ...]:
    verdicts, _ = judged(studio, pictures, plain_text(prompt, "a1111"))
    return tuple(map(bool, verdicts)) if verdicts else (None,) * len(pictures)


def unfinished(rows: list[Row], step: Step, mode: str) -> str:
    """The finished rows and what can be seen of the one under way."""
    cells = "".join(f"<td>{picture(p)}</td>" for p in step.previews)
    cells += '<td><div class="blank"></div></td>' * (len(WEIGHTS) - len(step.previews))
    under_way = f'<tr class="soon"><th>{escape(mode)}</th>{cells}</tr>'
    return _table("".join(_shown(row, number) for number, row in enumerate(rows)) + under_way)


def grid(rows: list[Row], word: str) -> str:
    """The labelled grid, and under its columns the curves."""
    body = "".join(_shown(row, number) for number, row in enumerate(rows))
    columns = len(WEIGHTS)
    cut = " (longer than CLIP reads)" if any(row.truncated for row in rows) else ""
    chart = f'<tr class="chart"><th>CLIP score of “{escape(word)}”{cut}</th><td colspan="{columns}">{curves(rows)}</td></tr>'
    return _table(body + chart)


def _table(body: str) -> str:
    head = "".join(f'<th class="{"one" if w == 1 else ""}">{w:g}</th>' for w in WEIGHTS)
    return (
        f'<div class="scroll"><table class="sweep"><thead><tr><th>weight</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _shown(row: Row, number: int) -> str:
    cells = "".join(
        f'<td title="CLIP {score:.3f}">{picture(image, f"{row.mode}, weight {weight:g}")}'
        f'<span class="num">{score:.2f}</span>{_sign(right)}</td>'
        for image, score, weight, right in zip(
            row.pictures, row.scores, WEIGHTS, row.right, strict=True
        )
    )
    return f'<tr><th><i class="dot c{number}"></i>{escape(row.mode)}</th>{cells}</tr>'


def _sign(right: bool | None) -> str:  # noqa: FBT001 - a value, not a switch
    if right is None:
        return ""
    kind, sign = ("good", "✓") if right else ("bad", "✗")
    return f'<b class="{kind}">{sign}</b>'


def curves(rows: list[Row]) -> str:
    """A line a mode over the grid's columns, as SVG; its scale runs from the lowest to the highest score."""
    values = [score for row in rows for score in row.scores]
    low, high = min(values), max(values)
    spread = max(high - low, 1e-6)

    def y(score: float) -> float:
        return _TOP + (_HEIGHT - 2 * _TOP) * (high - score) / spread

    width = _COLUMN * len(WEIGHTS)
    one = _COLUMN * (WEIGHTS.index(1.0) + 0.5)
    parts = [
        f'<line class="one" x1="{one}" x2="{one}" y1="0" y2="{_HEIGHT}"/>',
        *(
            f'<line class="rule" x1="0" x2="{width}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
            f'<text x="2" y="{y(v) - 5:.1f}">{v:.2f}</text>'
            for v in (low, high)
        ),
    ]
    for number, row in enumerate(rows):
        points = [(_COLUMN * (i + 0.5), y(score)) for i, score in enumerate(row.scores)]
        path = " ".join(f"{x:.1f},{height:.1f}" for x, height in points)
        dots = "".join(f'<circle cx="{x:.1f}" cy="{h:.1f}" r="4"/>' for x, h in points)
        parts.append(f'<g class="c{number}"><polyline points="{path}"/>{dots}</g>')
    label = "; ".join(f"{row.mode}: " + ", ".join(f"{s:.2f}" for s in row.scores) for row in rows)
    return f'<svg viewBox="0 0 {width} {_HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
