"""`attention_maps`: from where in its picture each word of a prompt is looked at."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from html import escape
from string import punctuation
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.families.finding import family_of_pipeline
from clipcond.figures import figures
from clipcond.hooks.attention import attending, attention_modules
from clipcond.hooks.heat import heated
from clipcond.hooks.looking import LAYOUTS
from clipcond.hooks.run import Look, Run
from clipcond.hooks.seen import Chosen, Seen, Watch
from clipcond.hooks.session import acting
from clipcond.hooks.words import Texts

_SHOWN = 12  # words of a prompt, and pictures, that a notebook shows
_SIDE = 96  # pixels of their maps


@contextmanager
def attention_maps(
    pipe: Any,
    *,
    layers: str | Sequence[str] = (),
    steps: tuple[float, float] = (0.0, 1.0),
    heads: Sequence[int] = (),
) -> Iterator["AttentionMaps"]:
    """Meanwhile, calls of the pipeline leave maps of where in the picture each word is looked at from.

        with clipcond.attention_maps(pipe) as maps:
            images = pipe(**conditioning.kwargs_for(pipe), num_inference_steps=20).images
        maps.of("fox"), maps.overlay("fox", images)

    The pictures are the same, bit for bit. What is kept of a call is for each picture and each text that it reads a sum
    in float32 for each size of layer: of all positions of the text, over at most 64 x 64 places.

    Args:
        pipe: of one of the families that docs/attention.md lists.
        layers: what the names of the attention modules to look at begin with ("up_blocks"); empty for all that look at
            text.
        steps: shares of the run from which and up to which to look.
        heads: the numbers of the heads to look at, from 0; empty for all.

    Raises:
        UnsupportedPipelineError: its denoiser attends to text in a way that is not known here; or, when it draws, by other
            means than torch's `scaled_dot_product_attention`.
        ClipcondError: no such layers, steps or heads; other `attention_maps` act already.
    """
    family = family_of_pipeline(pipe)
    if family.name not in LAYOUTS:
        raise UnsupportedPipelineError(
            f"attention maps: not for {family.name}; there are those of {', '.join(LAYOUTS)}"
        )
    chosen = Chosen(
        layout=LAYOUTS[family.name],
        layers=(layers,) if isinstance(layers, str) else tuple(layers),
        steps=steps,
        heads=tuple(heads),
    )
    _check(chosen, getattr(pipe, family.denoiser))
    maps = AttentionMaps(chosen)
    with acting(pipe, family, "maps", maps):
        yield maps


def _check(chosen: Chosen, denoiser: nn.Module) -> None:
    known = list(attention_modules(denoiser))
    for layer in chosen.layers:
        if not any(name.startswith(layer) for name in known):
            raise ClipcondError(
                f"layers: no attention module's name begins with {layer!r}; there are {', '.join(known)}"
            )
    start, end = chosen.steps
    if not 0 <= start < end <= 1:
        raise ClipcondError(
            f"steps: got {chosen.steps}; needs two rising shares of the run, such as (0.2, 0.8)"
        )
    if any(head < 0 for head in chosen.heads):
        raise ClipcondError(f"heads: got {list(chosen.heads)}; they are numbered from 0")


class AttentionMaps:
    """Maps of the last call of a pipeline: of this thread, or where it made none, of any. A notebook shows those of each word."""

    def __init__(self, chosen: Chosen) -> None:
        self._chosen = chosen
        self._told: Any = WeakIdKeyDictionary()  # a tensor that a call is handed -> what it says
        self._seen: dict[int, Seen] = {}  # by thread
        self._last: Seen | None = None

    def of(self, word: str) -> Float[torch.Tensor, "pictures h w"]:
        """How much of its attention each place of each picture gave to a word, 0 to 1, in float32 on the CPU.

        It is the mean over layers, heads and steps; where a prompt changes, over the steps at which it had the word. The
        tokens of a word are summed, and so are its occurrences. A picture whose prompt does not have a word that another's
        has is all 0.

        Args:
            word: a word, several in a row, or a token, in any case, as the report shows them.

        Raises:
            ClipcondError: it is in no prompt, or was cut; nothing was drawn, or from strings.
        """
        seen, texts = self._call()
        return seen.mean(word, texts)

    def overlay(self, word: str, images: Sequence[Image.Image]) -> list[Image.Image]:
        """Each picture under a map of heat, which is brightest where it looked at the word most.

        Args:
            word: as for `of`.
            images: the call's.

        Raises:
            ClipcondError: another number of pictures; or as for `of`.
        """
        maps = self.of(word)
        if len(maps) != len(images):
            raise ClipcondError(
                f"overlay: got {len(images)} pictures, and the call drew {len(maps)}; pass those"
            )
        return [heated(image, heat) for image, heat in zip(images, maps, strict=True)]

    def _repr_html_(self) -> str:
        try:
            seen, texts = self._call()
        except ClipcondError as error:
            return f"<p>{escape(str(error))}</p>"
        words = dict.fromkeys(word.strip(punctuation) for word in texts.words)
        shown = []
        for word in filter(None, words):
            with suppress(ClipcondError):  # not read in the steps that were looked at
                shown.append(_figures_of(word, seen.mean(word, texts)))
            if len(shown) == _SHOWN:
                break
        return "".join(shown)

    @property
    def nbytes(self) -> int:
        """Bytes that are kept of the call."""
        seen, _ = self._call()
        return sum(maps.nbytes for each in seen.sums.values() for maps in each.maps.values())

    def _call(self) -> tuple[Seen, Texts]:
        seen = self._seen.get(threading.get_ident(), self._last)
        if seen is None:
            raise ClipcondError(
                "attention maps: nothing was drawn yet; call the pipeline within `with attention_maps(pipe) as maps:`"
            )
        if seen.texts is None:
            raise ClipcondError(
                "attention maps: the pipeline was called with strings, or with tensors that say nothing of their words: hand "
                "it `**conditioning.kwargs_for(pipe)`, called within `with attention_maps(pipe)`"
            )
        if not seen.sums:
            raise ClipcondError(
                "attention maps: no attention of the chosen layers and steps looked at the text; choose more of them"
            )
        return seen, seen.texts

    def told(self, handed: torch.Tensor, texts: Texts) -> None:
        """What the tensor that a call will be handed says."""
        self._told[handed] = texts

    @contextmanager
    def during(self, look: Look) -> Iterator[None]:
        """Watch one forward."""
        seen = self._of_run(look.run)
        start, end = self._chosen.steps
        if seen.texts is None or not start <= look.moment.share < end:
            yield
            return
        with attending(look.module, Watch(seen, seen.texts, look, self._chosen)):
            yield

    def _of_run(self, run: Run) -> Seen:
        """What is seen of a call; it begins with its first forward."""
        thread = threading.get_ident()
        seen = self._seen.get(thread)
        if seen is None or seen.run is not run:
            handed = [value for value in run.arguments.values() if isinstance(value, torch.Tensor)]
            texts = next((self._told[tensor] for tensor in handed if tensor in self._told), None)
            seen = self._seen[thread] = self._last = Seen(run, texts)
        return seen


def _figures_of(word: str, maps: Float[torch.Tensor, "pictures h w"]) -> str:
    """A line of a notebook: the word, and its map in each picture."""
    wide = round(_SIDE * maps.shape[2] / maps.shape[1])
    black = Image.new("RGB", (max(wide, 1), _SIDE))
    shown = [(heated(black, heat), f"at most {heat.max():.1%}") for heat in maps[:_SHOWN]]
    return f"<p><b>{escape(word)}</b></p>{figures(shown)}"
