"""Pictures of a prompt, and from where in them each of its words is looked at."""

from dataclasses import dataclass
from html import escape
from string import punctuation, whitespace

import torch
from jaxtyping import Float
from PIL import Image

import clipcond
from clipcond.conditioning.report import Report
from clipcond.errors import ClipcondError
from clipcond.hooks.heat import heated

from .settings import Settings
from .stream import Emit
from .studio import Studio, Watcher, draw_each
from .view import picture

_AROUND = punctuation + whitespace
_SIDE = 256  # smaller pictures are enlarged to this, so that the maps on them are smooth


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """Pictures of one prompt and the maps of its words.

    Attributes:
        seeds: of the pictures.
        images: one a seed.
        words: each once, as typed, in the order of the prompt.
        maps: of each word in each picture: the share of its attention that each place gave to the word.
    """

    seeds: tuple[int, ...]
    images: tuple[Image.Image, ...]
    words: tuple[str, ...]
    maps: Float[torch.Tensor, "words pictures h w"]

    @property
    def pointed(self) -> str:
        """The word whose maps stand out most from their mean: more likely a thing than an article."""
        peaks = self.maps.amax((2, 3)) / self.maps.mean((2, 3)).clamp(min=1e-12)
        return self.words[int(peaks.mean(1).argmax())]


def look(studio: Studio, settings: Settings, emit: Emit) -> Looked:
    """Draw some pictures and keep where each word is looked at; emits a `Step` after each denoising step.

    Raises:
        ClipcondError: whatever is wrong with the prompt; or it has no word.
        UnsupportedPipelineError: a pipeline without such maps.
        Stopped: from `emit`.
    """
    conditioner = studio.read_as("a1111", settings.weighting)
    words = words_of(conditioner.report(settings.prompt))
    if not words:
        raise ClipcondError(f"prompt: {settings.prompt[:60]!r} has no word to look for; type one")
    # the maps are those of one call
    count = min(studio.batch_size, settings.candidates)
    seeds = range(settings.seed, settings.seed + count)
    with studio.turn, clipcond.attention_maps(studio.pipe) as maps:
        images = draw_each(
            studio,
            [settings.prompt] * count,
            seeds,
            settings,
            conditioner=conditioner,
            on_step=Watcher(emit, batches=1),
        )
        found = torch.stack([maps.of(word) for word in words])
    return Looked(seeds=tuple(seeds), images=images, words=words, maps=found)


def words_of(report: Report) -> tuple[str, ...]:
    """Every word that the first text encoder reads, once, without the punctuation around it."""
    words: list[str] = []
    for prompt in report.prompts:
        for token in prompt.tokens:
            if token.goes_on and words:
                words[-1] += token.text
            else:
                words.append(token.text)
    once: dict[str, str] = {}
    for word in words:
        bare = word.strip(_AROUND)
        once.setdefault(bare.casefold(), bare)
    return tuple(word for word in once.values() if word)


def seen(looked: Looked, word: str) -> str:
    """The pictures, and under each the map of a word over it.

    Raises:
        ClipcondError: it is none of the prompt's words.
    """
    if word not in looked.words:
        raise ClipcondError(f"word: {word!r} is not among {', '.join(looked.words)}")
    maps = looked.maps[looked.words.index(word)]
    cards = "".join(
        _card(image, heat, seed, word)
        for image, heat, seed in zip(looked.images, maps, looked.seeds, strict=True)
    )
    return f'<div class="cards looked">{cards}</div>'


def _card(image: Image.Image, heat: Float[torch.Tensor, "h w"], seed: int, word: str) -> str:
    if max(image.size) < _SIDE:
        scale = _SIDE / max(image.size)
        image = image.resize(
            (round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC
        )
    peak, mean = float(heat.max()), float(heat.mean())
    return (
        f'<figure class="card">{picture(image, f"seed {seed}")}'
        f"{picture(heated(image, heat), f'where {word} is looked at, seed {seed}')}"
        f'<figcaption class="num faint">seed {seed}: {escape(word)} has up to {peak:.1%} of a place’s attention, '
        f"{mean:.1%} on average</figcaption></figure>"
    )
