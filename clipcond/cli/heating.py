"""Maps of where in its picture each word is looked at, for `clipcond generate --attention`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from PIL import Image

from clipcond.conditioning import Conditioning
from clipcond.generation import draw
from clipcond.hooks.maps import attention_maps


def overlays(
    pipe: Any,
    conditioning: Conditioning,
    words: Sequence[str],
    seeds: Sequence[int],
    *,
    batch_size: int,
    **pipe_kwargs: Any,
) -> dict[str, list[Image.Image]]:
    """For each word a map over the picture of each seed, which is drawn again: a seed is the same picture always.

    Args:
        pipe: a diffusers pipeline.
        conditioning: of one prompt.
        words: of the prompt.
        seeds: of the pictures.
        batch_size: pictures a call of the pipeline.
        **pipe_kwargs: as the pictures were drawn with.

    Raises:
        ClipcondError: a word is in no prompt.
    """
    found: dict[str, list[Image.Image]] = {word: [] for word in words}
    with conditioning.attached(pipe), attention_maps(pipe) as maps:
        for start in range(0, len(seeds), batch_size):
            part = seeds[start : start + batch_size]
            condition = partial(_condition, conditioning, pipe, len(part))
            images = draw(pipe, condition, part, batch_size=len(part), **pipe_kwargs)
            for word in words:
                found[word] += maps.overlay(word, images)
    return found


def _condition(conditioning: Conditioning, pipe: Any, pictures: int, _: slice) -> dict[str, Any]:
    return conditioning.kwargs_for(pipe, num_images_per_prompt=pictures)
