"""How much each place of a picture looks at each position of its text, in one attention of a denoiser."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch.nn import functional as F

from clipcond.hooks.attention import Attention

_MOST = 1 << 26  # bytes of products at once
MOST_PLACES = 64  # along either side of a map

# where the text is among the keys of a family's attention: alone, or before or after the picture
Layout = Literal["alone", "first", "last"]
LAYOUTS: dict[str, Layout] = {
    **dict.fromkeys(
        (
            "Stable Diffusion 1 and 2", "Stable Diffusion XL", "Stable Diffusion XL refiner", "Stable Diffusion latent upscaler",
            "CLIP + T5 UNet", "PixArt", "Allegro", "Cosmos", "Kandinsky 3", "Wan", "Latte",
        ),
        "alone",
    ),
    **dict.fromkeys(
        ("Flux.1", "Chroma", "DeepFloyd IF", "Bria 3.2", "CogView3+"), "first"
    ),
    "Stable Diffusion 3": "last",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ranges:
    """Parts of an attention's positions.

    Attributes:
        places: the picture's, of the queries.
        text: the text's, of the keys.
    """

    places: slice
    text: slice


def ranges(attention: Attention, layout: Layout, length: int, picture: int | None) -> Ranges | None:
    """Where picture and text are; None where the picture does not look at the text.

    Args:
        attention: any of the denoiser's.
        layout: of its family.
        length: positions of the text.
        picture: positions of the picture, where an attention before this one has told.
    """
    queries, keys = attention.query.shape[2], attention.key.shape[2]
    if layout == "alone":
        looks = attention.other is not None and keys == length
        return Ranges(slice(0, queries), slice(0, length)) if looks else None
    rest = keys - length
    if rest <= 0 or (rest != picture and attention.other is None):
        return None
    if layout == "last":
        return Ranges(slice(0, rest), slice(rest, keys)) if queries == keys else None
    if queries not in (keys, rest):
        return None
    return Ranges(slice(queries - rest, queries), slice(0, length))


def shares(
    attention: Attention, row: int, where: Ranges, heads: Sequence[int]
) -> Float[torch.Tensor, "tokens places"]:
    """The shares of all keys that places of one row give to each position of the text, in the mean over heads.

    They are computed again from query and key, a part of the places at a time.

    Args:
        attention: what is about to be attended.
        row: which of its rows.
        where: picture and text.
        heads: which to look at; empty for all.
    """
    query, key = attention.query[row], attention.key[row]
    if len(key) != len(query):
        key = key.repeat_interleave(len(query) // len(key), 0)
    mask = _mask(attention, row)
    if heads:
        chosen = list(heads)
        query, key = query[chosen], key[chosen]
        mask = None if mask is None else mask[chosen]
    scale = query.shape[-1] ** -0.5 if attention.scale is None else attention.scale
    keys = key.float().mT
    size = max(1, _MOST // (4 * len(query) * keys.shape[-1]))
    parts = []
    for start in range(where.places.start, where.places.stop, size):
        part = slice(start, min(start + size, where.places.stop))
        products = query[:, part].float() @ keys * scale
        if mask is not None:
            products = _masked(products, mask[:, part])
        parts.append(products.softmax(-1)[..., where.text].mean(0))
    return torch.cat(parts).T


def _mask(attention: Attention, row: int) -> torch.Tensor | None:
    """[heads, queries, keys]."""
    if attention.mask is None:
        return None
    rows, heads, queries = attention.query.shape[:3]
    return attention.mask.expand(rows, heads, queries, attention.key.shape[2])[row]


def _masked(products: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    if mask.dtype == torch.bool:
        return products.masked_fill(~mask, -torch.inf)
    return products + mask.float()


def bounded(maps: Float[torch.Tensor, "tokens h w"]) -> Float[torch.Tensor, "tokens h2 w2"]:
    """Maps of at most `MOST_PLACES` a side: larger ones averaged down."""
    longest = max(maps.shape[1:])
    if longest <= MOST_PLACES:
        return maps
    height, width = (max(1, round(side * MOST_PLACES / longest)) for side in maps.shape[1:])
    return F.adaptive_avg_pool2d(maps, (height, width))
