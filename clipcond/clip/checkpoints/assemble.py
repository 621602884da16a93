"""Tensors to towers, after they have been looked at."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from clipcond.clip.architecture import Architecture
from clipcond.clip.checkpoints.kinds import model_class
from clipcond.clip.checkpoints.layouts import openclip_name
from clipcond.clip.preprocess import Preprocessing
from clipcond.clip.reading import Reader, is_clip_bpe, make_reader
from clipcond.errors import CheckpointError
from clipcond.files import State, first_line, some

_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a checkpoint of any layout comes to.

    Attributes:
        layout: "transformers", "openclip" or "openai".
        cleaning: how texts are cleaned, one of `reading.CLEANINGS`; None for not at all.
        simple: whether texts are split as the packages' SimpleTokenizer does.
        tokenizer_name: the hub id of the tokenizer that the configuration names, if it names one.
        text_end: the id whose position the configuration takes text features at; None for the highest of a text's.
        state: tensors by transformers' names (a ResNet's by OpenAI's).
        architecture: sizes and activations.
        config: the same as a CLIPConfig.
        preprocessing: what the image tower wants.
        root: the folder that the files are in.
        weights: names the file of the tensors, in errors.
        sizes: names the file that the sizes are from, in errors.
        assumed: what no file said and was taken as is usual, one line each.
    """

    layout: str
    state: State
    architecture: Architecture
    config: Any
    preprocessing: Preprocessing
    root: Path
    weights: str
    sizes: str
    cleaning: str | None = None
    simple: bool = False
    text_end: int | None = None
    tokenizer_name: str | None = None
    assumed: tuple[str, ...] = ()

    def name_of(self, tensor: str) -> str:
        """What the file itself calls a tensor, given transformers' name."""
        return tensor if self.layout == "transformers" else openclip_name(tensor) or tensor


def with_reader(parts: Parts, tokenizer: Any) -> tuple[Parts, Reader]:
    """How texts are read, and the parts with the position at which text features are taken.

    Where CLIP's own vocabulary is, that is the end token, whatever the configuration says: texts end with it and it has
    the highest id. Elsewhere the two differ, and what the model was trained with is what its program does.

    Raises:
        CheckpointError: what `make_reader` raises.
    """
    source = f"{parts.root}: its tokenizer ({type(tokenizer).__name__})"
    full = parts.architecture.text.features == "last"
    reader = make_reader(
        tokenizer,
        source,
        layout=parts.layout,
        cleaning=parts.cleaning,
        simple=parts.simple,
        read_filling=full,
    )
    if full:
        if reader.rows(["A"]) == reader.rows(["a"]):
            return parts, reader
        line = "capitals as they are, which the folder's tokenizer keeps and SigLIP was trained without"
        return replace(parts, assumed=(*parts.assumed, line)), reader
    if is_clip_bpe(tokenizer):
        return parts, reader
    if parts.text_end is None and reader.end != len(tokenizer) - 1:
        text = replace(parts.architecture.text, features="highest")
        return replace(parts, architecture=replace(parts.architecture, text=text)), reader
    if parts.text_end not in (None, reader.end):
        line = (
            f"text features at the tokenizer's end token {reader.end}, and not at eos_token_id {parts.text_end}, which "
            "ends no text"
        )
        return replace(parts, assumed=(*parts.assumed, line)), reader
    return parts, reader


def check_tensors(parts: Parts) -> None:
    """That every tensor is of a kind that towers compute in, and finite.

    Raises:
        CheckpointError: one is not; the message names it.
    """
    for name, tensor in parts.state.items():
        if tensor.dtype not in _DTYPES:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"{parts.weights}: {parts.name_of(name)} is {kind}; weights are float32, float16, bfloat16 or float64: "
                "quantised checkpoints are not read"
            )
        # NaN reaches both ends, and there is no mask of the whole tensor to build
        if tensor.numel() and not all(end.isfinite() for end in torch.aminmax(tensor)):
            raise CheckpointError(
                f"{parts.weights}: {parts.name_of(name)} holds NaN or infinity; the training diverged or the file is damaged"
            )


def build_model(parts: Parts) -> Any:
    """transformers' model with these weights, or a ResNetClip, in float32 and eval mode.

    Raises:
        CheckpointError: tensors are missing, too many, or of other shapes than the configuration says.
    """
    kind = parts.architecture.kind
    # of the pair's probability, and no part of transformers' CLIPModel
    state = {n: t for n, t in parts.state.items() if n != "logit_bias" or kind == "siglip"}
    layers = parts.architecture.image.layers
    if isinstance(layers, tuple):
        return _build_resnet(parts, layers, state)
    return _load(model_class(kind), parts, parts.config, state)


def _load(model_class: Any, parts: Parts, config: Any, state: State) -> Any:
    try:
        model, info = model_class.from_pretrained(
            None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        raise CheckpointError(
            f"{parts.sizes}: says other sizes than the weights in {Path(parts.weights).name} have "
            f"({first_line(error)}); download both again"
        ) from error
    # transformers fills what is missing with random numbers, and random towers score without complaint
    _complete(sorted(info["missing_keys"]), sorted(info["unexpected_keys"]), parts)
    return model.eval()


def _build_resnet(parts: Parts, layers: tuple[int, int, int, int], state: State) -> Any:
    from transformers import CLIPTextModelWithProjection

    from clipcond.clip.resnet import ModifiedResNet, ResNetClip

    image = parts.architecture.image
    text = {name: tensor for name, tensor in state.items() if name.startswith("text_")}
    rest = {name: tensor for name, tensor in state.items() if name not in text}
    model = ResNetClip(
        _load(CLIPTextModelWithProjection, parts, parts.config.text_config, text),
        ModifiedResNet(
            layers,
            width=image.width,
            heads=image.heads,
            image_size=image.image_size,
            dim=parts.architecture.dim,
        ),
    )
    try:
        result = model.load_state_dict(rest, strict=False)
    except RuntimeError as error:
        raise CheckpointError(f"{parts.weights}: {' '.join(str(error).split())}") from error
    missing = [
        name
        for name in result.missing_keys
        if not name.startswith("text_") and not name.endswith("num_batches_tracked")
    ]
    _complete(missing, result.unexpected_keys, parts)
    return model.eval()


def _complete(missing: list[str], unexpected: list[str], parts: Parts) -> None:
    lacking, left = (
        list(dict.fromkeys(parts.name_of(n) for n in names)) for names in (missing, unexpected)
    )
    if lacking:
        raise CheckpointError(
            f"{parts.weights}: lacks {len(lacking)} of the model's tensors: {some(lacking)}; "
            "it is no full CLIP (both towers), or it was cut"
        )
    if left:
        raise CheckpointError(
            f"{parts.weights}: holds {len(left)} tensors that its model has no place for: {some(left)}"
        )
