"""What one world's trained parts are worth in another: weights carried over to another size of picture and vocabulary."""

from collections.abc import Mapping

import torch
from torch.nn import functional as F

from clipcond.clip import Clip

_TOKENS = "text_model.embeddings.token_embedding.weight"
_PATCHES = "vision_model.embeddings.patch_embedding.weight"


@torch.no_grad()
def transfer_clip(old: Clip, new: Clip) -> None:
    """Start one CLIP from another of the same widths: tokens by what they spell, patches enlarged.

    A patch of twice the side sees the same part of a picture twice as large: each of its weights is spread over the
    pixels that take its pixel's place, so that an enlarged picture is embedded as before.
    """
    known, state = old.model.state_dict(), new.model.state_dict()
    side = state[_PATCHES].shape[-1]
    ratio = side / known[_PATCHES].shape[-1]
    known[_PATCHES] = F.interpolate(known[_PATCHES], size=side, mode="nearest") / ratio**2
    known[_TOKENS] = _tokens(known[_TOKENS], old.tokenizer.get_vocab(), state[_TOKENS], new)
    new.model.load_state_dict(known)


def _tokens(
    known: torch.Tensor, vocabulary: Mapping[str, int], fresh: torch.Tensor, new: Clip
) -> torch.Tensor:
    """Rows of the old embedding for tokens that it has, the fresh ones for the others."""
    rows = fresh.clone()
    for token, row in new.tokenizer.get_vocab().items():
        if token in vocabulary:
            rows[row] = known[vocabulary[token]]
    return rows
