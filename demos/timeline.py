"""A schedule as a line of steps, and what it mixes: its picture beside those of each of its texts alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from PIL import Image

from clipcond.errors import ClipcondError
from clipcond.generation import plain_text
from clipcond.prompt import parse

from .settings import Settings
from .stream import Emit
from .studio import Studio, Watcher, draw_each, judged
from .view import notes, picture

MAX_STATES = 8  # as many as there are colours
_LETTERS = "ABCDEFGH"
_DIALECT = "a1111"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What a prompt says over a run.

    Attributes:
        texts: everything that it says, each once.
        order: for each step the number of its text.
    """

    texts: tuple[str, ...]
    order: tuple[int, ...]

    def stretches(self) -> Iterator[tuple[int, int, int]]:
        """(first step, last step, number of the text), steps counted from 1."""
        first = 1
        for number, same in groupby(self.order):
            last = first + len(list(same)) - 1
            yield first, last, number
            first = last + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """A scheduled prompt drawn, and each of its states alone, all from the noise of one seed.

    Attributes:
        line: what it says.
        whole: its picture.
        alone: a picture of each text.
        like: whether the oracle finds in `whole` what each text asks for; None where it cannot tell.
    """

    line: Timeline
    whole: Image.Image
    alone: tuple[Image.Image, ...]
    like: tuple[bool | None, ...]


def timeline(prompt: str, steps: int) -> Timeline:
    """The time line of a prompt.

    Raises:
        PromptSyntaxError: it cannot be read.
        ClipcondError: it says more things than there are colours.
    """
    rows = parse(prompt, dialect=_DIALECT).without_tags.schedule(steps)
    numbers: dict[str, int] = {}
    order: list[int] = []
    for last, text in rows:
        number = numbers.setdefault(text, len(numbers))
        order += [number] * (last - len(order))
    if len(numbers) > MAX_STATES:
        raise ClipcondError(
            f"prompt: {prompt[:60]!r} says {len(numbers)} different things in {steps} steps; at most {MAX_STATES} are "
            "shown: schedule fewer words apart from each other"
        )
    return Timeline(texts=tuple(numbers), order=tuple(order))


def mix(studio: Studio, settings: Settings, emit: Emit) -> Mixture:
    """Draw a prompt, and what it says at each of its states alone; emits a `Step` after each denoising step.

    Raises:
        ClipcondError: whatever is wrong with the prompt.
        Stopped: from `emit`.
    """
    line = timeline(settings.prompt, studio.looks(settings.steps))
    prompts = [settings.prompt, *line.texts]
    whole, *alone = draw_each(
        studio,
        prompts,
        [settings.seed] * len(prompts),
        settings,
        conditioner=studio.read_as(_DIALECT, settings.weighting),
        on_step=Watcher(emit, batches=-(-len(prompts) // studio.batch_size)),
    )
    like = tuple(_like(studio, whole, text) for text in line.texts)
    return Mixture(line=line, whole=whole, alone=tuple(alone), like=like)


def _like(studio: Studio, image: Image.Image, text: str) -> bool | None:
    verdicts, _ = judged(studio, [image], plain_text(text, _DIALECT))
    return bool(verdicts[0]) if verdicts else None


def announced(prompt: str, steps: int) -> str:
    """The time line of a prompt that is not drawn yet: what it says when, and what looks like a mistake in it."""
    line = timeline(prompt, steps)
    rows = "".join(f"<li>{_named(line, number)}</li>" for number in range(len(line.texts)))
    return f'{shown(line)}<ul class="states">{rows}</ul>{notes(parse(prompt, dialect=_DIALECT))}'


def shown(line: Timeline) -> str:
    """The line itself: a block for each stretch of steps, as wide as it lasts."""
    told = "; ".join(
        f"{_range(first, last)}: {line.texts[number] or 'nothing'}"
        for first, last, number in line.stretches()
    )
    blocks = (
        (last - first + 1, f"c{number}", _LETTERS[number], f"{_range(first, last)}: {line.texts[number]}")
        for first, last, number in line.stretches()
    )  # fmt: skip
    return lane(blocks, f"time line; {told}")


def lane(blocks: Iterator[tuple[int, str, str, str]], label: str) -> str:
    """Blocks on a line of steps.

    Args:
        blocks: (steps that it lasts, class, what stands in it, what it says when pointed at) of each.
        label: what is read out.
    """
    steps, found = 0, []
    for count, kind, text, title in blocks:
        steps += count
        found.append(
            f'<span class="{kind}" style="flex:{count}" title="{escape(title)}">{escape(text)}</span>'
        )
    return (
        f'<div class="lane" role="img" aria-label="{escape(label)}"><div class="blocks">{"".join(found)}</div>'
        f'<div class="axis"><span>step 1</span><span>{steps}</span></div></div>'
    )


def _range(first: int, last: int) -> str:
    return f"step {first}" if first == last else f"steps {first}–{last}"


def _letter(number: int) -> str:
    return f'<span class="letter c{number}">{_LETTERS[number]}</span>'


def _named(line: Timeline, number: int) -> str:
    """A text with its letter and how many steps say it."""
    count, steps = line.order.count(number), len(line.order)
    text = escape(line.texts[number]) or "<i>nothing</i>"
    return (
        f'{_letter(number)} <span class="said" dir="auto">{text}</span> '
        f'<span class="num faint">{count} of {steps} steps</span>'
    )


def unfinished(line: Timeline, pictures: Sequence[Image.Image]) -> str:
    """What can be seen so far: the schedule's picture, and as many of the texts' as there are pictures."""
    seen = [picture(image, "unfinished") for image in pictures]
    seen += ['<div class="blank"></div>'] * (1 + len(line.texts) - len(seen))
    return _arranged(line, seen, "", "soon")


def drawn(mixture: Mixture) -> str:
    """The picture of the schedule, and those of what it mixes."""
    texts = mixture.line.texts
    alts = ["drawn by the schedule", *(f"drawn of “{text}” alone" for text in texts)]
    seen = map(picture, (mixture.whole, *mixture.alone), alts)
    return _arranged(mixture.line, list(seen), _found(mixture.like))


def _arranged(line: Timeline, pictures: Sequence[str], found: str, kind: str = "") -> str:
    """The schedule's picture with what was found in it, and each text's own."""
    cells = "".join(
        f'<figure class="card {kind}">{image}<figcaption>{_named(line, number)}</figcaption></figure>'
        for number, image in enumerate(pictures[1:])
    )
    return (
        f'<div class="mixture"><div><h4>The schedule</h4><figure class="card {kind}">{pictures[0]}</figure>{found}</div>'
        f'<div><h4>Each text alone, from the same seed</h4><div class="cards">{cells}</div></div></div>'
    )


def _found(like: Sequence[bool | None]) -> str:
    """Which of the texts the oracle finds in the schedule's picture; nothing where it cannot tell."""
    signs = {True: ("good", "✓", "found"), False: ("bad", "✗", "not found")}
    rows = (
        f'<li class="{signs[right][0]}">{_letter(number)} <b aria-label="{signs[right][2]}">{signs[right][1]}</b></li>'
        for number, right in enumerate(like)
        if right is not None
    )
    told = "".join(rows)
    return f'<ul class="found"><li>The oracle finds</li>{told}</ul>' if told else ""
