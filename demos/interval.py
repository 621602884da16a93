"""What guiding in an interval of the steps changes, and what it saves: the same picture with and without."""

import time
from dataclasses import dataclass, replace
from html import escape
from itertools import groupby
from typing import Any

from PIL import Image

import clipcond
from clipcond.hooks.clock import Moment
from clipcond.hooks.guidance import Guidance

from .denoiser import called
from .settings import Settings
from .stream import Emit
from .studio import Studio, Watcher, draw_each
from .timeline import lane
from .view import picture

Interval = tuple[float, float]
_ALWAYS = (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A picture and what it cost.

    Attributes:
        image: it.
        seconds: from the text to the picture, in the faster of two drawings: a machine may be busy with others.
        rows: that the denoiser ran, in all its calls.
    """

    image: Image.Image
    seconds: float
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One picture guided throughout, and guided within an interval, from the same noise.

    Attributes:
        interval: shares of the run.
        looks: how often the denoiser is asked.
        whole: guided throughout.
        part: guided within the interval.
    """

    interval: Interval
    looks: int
    whole: Timed
    part: Timed

    @property
    def not_computed(self) -> float:
        """The share of the denoiser's rows that the interval leaves out."""
        return 1 - self.part.rows / self.whole.rows


def compare(studio: Studio, settings: Settings, interval: Interval, emit: Emit) -> Comparison:
    """Draw with and without the interval, each twice; emits a `Step` after each denoising step.

    Raises:
        ClipcondError: no interval, or whatever is wrong with the prompt; or the pipeline does not guide.
        Stopped: from `emit`.
    """
    Guidance(interval)  # refused before anything is drawn
    order = (_ALWAYS, interval, interval, _ALWAYS)
    on_step = Watcher(emit, batches=len(order), share=0)  # previews would count as time
    with studio.turn:
        # one step first, so that none of them pays for what a first call does
        _timed(studio, replace(settings, steps=1), _ALWAYS, None)
        first, *parts, last = (_timed(studio, settings, each, on_step) for each in order)
        whole, part = (
            min(pair, key=lambda timed: timed.seconds) for pair in ((first, last), parts)
        )
        looks = int(studio.pipe.num_timesteps)
    return Comparison(interval=interval, looks=looks, whole=whole, part=part)


def _timed(studio: Studio, settings: Settings, interval: Interval, on_step: Any) -> Timed:
    conditioner = studio.read_as("a1111", settings.weighting)
    rows: list[int] = []
    looking = called(studio.pipe, lambda call: rows.append(call.count))
    with clipcond.guidance(studio.pipe, interval=interval), looking:
        start = time.perf_counter()
        (image,) = draw_each(
            studio,
            [settings.prompt],
            [settings.seed],
            settings,
            conditioner=conditioner,
            on_step=on_step,
        )
        seconds = time.perf_counter() - start
    return Timed(image=image, seconds=seconds, rows=sum(rows))


def strip(interval: Interval, looks: int) -> str:
    """The steps that an interval guides, on a line.

    Raises:
        ClipcondError: it is no interval.
    """
    guidance = Guidance(interval)
    guided = [
        guidance.at(Moment(step, looks, step / looks), added=0.0) is None for step in range(looks)
    ]
    blocks = [(len(list(same)), yes) for yes, same in groupby(guided)]
    names = {True: ("on", "guided"), False: ("off", "not guided")}
    told = f"{sum(guided)} of {looks} steps are guided"
    shown = ((count, *names[yes], f"{count} steps: {names[yes][1]}") for count, yes in blocks)
    return f'{lane(shown, told)}<p class="faint">{told}; in the others the unconditional half is not computed.</p>'


def compared(found: Comparison) -> str:
    """Both pictures, what each cost, and what the interval saved."""
    start, end = found.interval
    cards = "".join(
        f'<figure class="card">{picture(timed.image, title)}<figcaption>{escape(title)}<br><span class="num faint">'
        f"{timed.seconds:.2f} s, {timed.rows} rows</span></figcaption></figure>"
        for title, timed in (
            ("guided at every step", found.whole),
            (f"guided from {start:.0%} to {end:.0%}", found.part),
        )
    )
    return f'<div class="cards two">{cards}</div><p class="saved">{escape(saving(found))}</p>'


def saving(found: Comparison) -> str:
    """What was saved, in words: counted and measured."""
    change = 1 - found.part.seconds / found.whole.seconds
    less = f"{change:.0%} less" if change >= 0 else f"{-change:.0%} more, for other reasons"
    return (
        f"{found.not_computed:.0%} of the denoiser's rows were not computed: {found.part.rows} in place of "
        f"{found.whole.rows}. The drawing took {found.part.seconds:.2f} s in place of {found.whole.seconds:.2f} s: {less}."
    )
