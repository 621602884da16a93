"""What one world's trained parts are worth in another: weights carried over to another size of picture and vocabulary."""

from collections.abc import Mapping

import torch
from diffusers import AutoencoderTiny, UNet2DConditionModel
from torch.nn import functional as F

from clipcond.clip import Clip
from weights.lab.train.patches import encode

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


@torch.no_grad()
def transfer_denoiser(
    old: UNet2DConditionModel,
    new: UNet2DConditionModel,
    old_vae: AutoencoderTiny,
    new_vae: AutoencoderTiny,
) -> None:
    """Start one denoiser from another of the same shape whose latents are linear codes of smaller or equal patches.

    What goes in is averaged down to the old code; what comes out is a picture's enlargement in the new one.
    """
    before, after = _projection(old_vae), _projection(new_vae)
    little, large = _basis(before), _basis(after)
    ratio = large.shape[-1] // little.shape[-1]
    down = encode(F.avg_pool2d(large, ratio), before).flatten(1).T  # [old channels, pixels]
    into = down @ torch.linalg.pinv(encode(large, after).flatten(1).T)
    enlarged = F.interpolate(little, scale_factor=ratio, mode="nearest")
    out = encode(enlarged, after).flatten(1).T @ torch.linalg.pinv(
        encode(little, before).flatten(1).T
    )
    state = old.state_dict()
    state["conv_in.weight"] = torch.einsum("oikl,ij->ojkl", state["conv_in.weight"], into)
    state["conv_out.weight"] = torch.einsum("ji,ickl->jckl", out, state["conv_out.weight"])
    state["conv_out.bias"] = out @ state["conv_out.bias"]
    new.load_state_dict(state)


def _projection(vae: AutoencoderTiny) -> torch.Tensor:
    """[channels, pixels of a patch x 3]: picture in -1..1 -> latents, with their scale."""
    return vae.encoder.layers[-1].weight[:, :, 1, 1] * vae.config.scaling_factor


def _basis(projection: torch.Tensor) -> torch.Tensor:
    """Patches with one colour of one pixel each, [pixels x 3, 3, side, side]."""
    count = projection.shape[1]
    side = round((count / 3) ** 0.5)
    return torch.eye(count).unflatten(1, (3, side, side))
