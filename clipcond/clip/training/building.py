"""The CLIP that training begins with, from nothing or from a checkpoint, and the one that it ends with."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from clipcond.clip.architecture import Architecture
from clipcond.clip.checkpoints.layouts import without_wrapping
from clipcond.clip.checkpoints.loading import load_clip
from clipcond.clip.preprocess import Preprocessing
from clipcond.clip.reading import is_clip_bpe, make_reader
from clipcond.clip.resnet import ModifiedResNet, ResNetClip
from clipcond.clip.towers import Clip
from clipcond.clip.training.initialization import initialize
from clipcond.clip.training.presets import Preset, find_preset
from clipcond.clip.training.towers import Towers
from clipcond.errors import CheckpointError, ClipcondError
from clipcond.identity import weights_digest
from clipcond.models import locate

_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)


def build_clip(
    preset: str | Preset, tokenizer: Any, seed: int, *, layout: str | None = None
) -> Clip:
    """An untrained CLIP with OpenAI's initialisation, on the CPU in float32.

    Args:
        preset: one of `PRESETS` by name, or one's own.
        tokenizer: transformers' CLIPTokenizer; the text tower gets as many tokens as it has.
        seed: of the random weights; the caller's random numbers are left as they were.
        layout: "transformers" or "openclip", whose way of reading texts and of cropping pictures it is trained with and
            should be saved as; None for "openclip" of a ResNet and "transformers" of a ViT.

    Raises:
        ClipcondError: there is no such preset, or no such layout of its kind.
        CheckpointError: a tokenizer that is none of CLIP's.
    """
    name = preset if isinstance(preset, str) else str(preset.architecture)
    sizes = (find_preset(preset) if isinstance(preset, str) else preset).architecture
    architecture = replace(sizes, text=replace(sizes.text, vocabulary=len(tokenizer)))
    layout = _layout(layout, architecture, name)
    _check_tokenizer(tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _towers(architecture)
        initialize(model)
    return Clip(
        model=model.eval(),
        tokenizer=tokenizer,
        reader=make_reader(
            tokenizer,
            f"tokenizer: {type(tokenizer).__name__}",
            layout=layout,
            cleaning="lower" if layout == "openclip" else None,
            simple=layout == "openclip",
            read_filling=False,
        ),
        preprocessing=_preprocessing(architecture.image.image_size, layout),
        digest=weights_digest(_stored(model, None), architecture.as_dict()),
        name=name,
        layout=layout,
        architecture=architecture,
        logit_bias=None,
        assumed=(),
    )


def start_clip(init: str | Path, *, tokenizer: Any = None) -> Clip:
    """The checkpoint that training goes on from, on the CPU in float32.

    Args:
        init: "emoji", or whatever `load_clip` reads.
        tokenizer: as `load_clip` takes it.

    Raises:
        CheckpointError: what `load_clip` raises.
    """
    return load_clip(locate(init), tokenizer=tokenizer)


def trained(clip: Clip, towers: Towers) -> Clip:
    """The CLIP that these towers are now, in eval mode, with its digest and bias: to save and to score with.

    Its weights are the towers' own, not a copy.
    """
    model = towers.model.eval()
    bias = towers.logit_bias
    return replace(
        clip,
        model=model,
        digest=weights_digest(_stored(model, towers.bias), clip.architecture.as_dict()),
        logit_bias=None if bias is None else float(bias.detach()),
    )


def _stored(model: Any, bias: torch.Tensor | None) -> Mapping[str, torch.Tensor]:
    """The tensors that `load_clip` would read from a file of this model, so that both have one digest."""
    state = without_wrapping(model.state_dict())
    if bias is not None:
        state["logit_bias"] = bias.detach().to(model.dtype)
    return state


def _layout(layout: str | None, architecture: Architecture, name: str) -> str:
    usual = "openclip" if architecture.is_resnet else "transformers"
    if layout not in (None, "transformers", "openclip"):
        raise ClipcondError(f"layout: got {layout!r}; choose one of transformers, openclip")
    if layout == "transformers" and architecture.is_resnet:
        raise ClipcondError(
            f"layout: got 'transformers' for {name}, and transformers has no ResNet image tower; choose openclip"
        )
    return layout or usual


def _check_tokenizer(tokenizer: Any) -> None:
    """That openai/CLIP and transformers find the end of a text where it is."""
    last = len(tokenizer) - 1
    if not is_clip_bpe(tokenizer) or tokenizer.eos_token_id != last:
        raise CheckpointError(
            f"tokenizer: a {type(tokenizer).__name__} whose end-of-text token is {tokenizer.eos_token_id} of {last}; a CLIP "
            "is trained with byte pairs of CLIP's kind, whose end token has the highest id"
        )


def _towers(architecture: Architecture) -> Any:
    from transformers import CLIPModel, CLIPTextModelWithProjection

    config: Any = architecture.to_transformers()
    image = architecture.image
    if not isinstance(image.layers, tuple):
        return CLIPModel(config)
    visual = ModifiedResNet(
        image.layers,
        width=image.width,
        heads=image.heads,
        image_size=image.image_size,
        dim=architecture.dim,
    )
    return ResNetClip(CLIPTextModelWithProjection(config.text_config), visual)


def _preprocessing(size: int, layout: str) -> Preprocessing:
    """OpenAI's, at another size."""
    return Preprocessing(
        shortest_edge=size,
        crop=(size, size),
        resample=int(Image.Resampling.BICUBIC),
        rescale_factor=1 / 255,
        mean=_MEAN,
        std=_STD,
        halves="even" if layout == "openclip" else "down",
    )
