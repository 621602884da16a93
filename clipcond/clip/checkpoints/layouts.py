"""The names and shapes that the same CLIP has in two layouts, and the way between them.

OpenAI's, which OpenCLIP kept: `visual.transformer.resblocks.0.attn.in_proj_weight`, projections as [width, dim], query, key
and value in one matrix. transformers': `vision_model.encoder.layers.0.self_attn.q_proj.weight`, projections as
[dim, width], three matrices. Nothing is rounded on the way, so there and back is the same to the last bit.

A ModifiedResNet image tower has no counterpart in transformers: its tensors keep their `visual.` names.
"""

import re

import torch

from clipcond.errors import CheckpointError
from clipcond.files import State, some

_NAMES = {
    "logit_scale": "logit_scale",
    "logit_bias": "logit_bias",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "text_projection": "text_projection.weight",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",  # sic
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
    "visual.proj": "visual_projection.weight",
}
_TRANSPOSED = {"text_projection", "visual.proj"}
_STACKS = {
    "transformer.resblocks.": "text_model.encoder.layers.",
    "visual.transformer.resblocks.": "vision_model.encoder.layers.",
}
_PARTS = {
    "ln_1": "layer_norm1",
    "attn.out_proj": "self_attn.out_proj",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_QKV = ("q_proj", "k_proj", "v_proj")
_BLOCK = re.compile(r"((?:visual\.)?transformer\.resblocks\.)(\d+)\.(.+?)[._](weight|bias)")
_LAYER = re.compile(
    r"((?:text|vision)_model\.encoder\.layers\.)(\d+)\.(\w+(?:\.\w+)?)\.(weight|bias)"
)

# OpenAI's archives carry these beside the weights, and nobody else's do
_OPENAI_SCALARS = {"input_resolution", "context_length", "vocab_size"}
# no weights: the causal mask, a row of counted numbers, how often a batch norm was updated
_BOOKKEEPING = {"attn_mask", "position_ids", "num_batches_tracked"}
_TEXT_PARTS = (
    "transformer.",
    "token_embedding.",
    "positional_embedding",
    "ln_final.",
    "text_projection",
)


def is_openai(state: State) -> bool:
    """Whether a state dict is that of one of OpenAI's own archives."""
    return state.keys() >= _OPENAI_SCALARS


def has_resnet(state: State) -> bool:
    """Whether the image tower is a ModifiedResNet."""
    return "visual.attnpool.q_proj.weight" in state


def without_wrapping(state: State) -> State:
    """A state dict as the bare model has it: no bookkeeping, no `module.` of DDP, no `text.` of OpenCLIP's CustomTextCLIP."""
    bare: State = {}
    for name, tensor in state.items():
        inner = re.sub(r"^(?:(?:module|_orig_mod)\.)+", "", name)
        text = inner.removeprefix("text.")
        if text.startswith(_TEXT_PARTS):
            inner = text
        if inner not in _OPENAI_SCALARS and inner.rsplit(".", 1)[-1] not in _BOOKKEEPING:
            bare[inner] = tensor
    return bare


def hf_from_openclip(state: State, source: str = "state dict") -> State:
    """OpenAI's and OpenCLIP's names and shapes to those of transformers' CLIPModel.

    Args:
        state: as `without_wrapping` gives it.
        source: the file's name, for errors.

    Raises:
        CheckpointError: tensors that a plain CLIP does not have.
    """
    resnet = has_resnet(state)
    converted: State = {}
    strange = []
    for name, tensor in state.items():
        block = _BLOCK.fullmatch(name)
        if resnet and name.startswith("visual."):
            converted[name] = tensor
        elif name in _NAMES:
            converted[_NAMES[name]] = tensor.T.contiguous() if name in _TRANSPOSED else tensor
        elif block and block[3] in _PARTS:
            prefix = f"{_STACKS[block[1]]}{block[2]}."
            converted[f"{prefix}{_PARTS[block[3]]}.{block[4]}"] = tensor
        elif block and block[3] == "attn.in_proj":
            prefix = f"{_STACKS[block[1]]}{block[2]}.self_attn."
            thirds = tensor.tensor_split(3)
            # copies, since safetensors refuses to write tensors that share memory
            converted |= {
                f"{prefix}{part}.{block[4]}": third.clone()
                for part, third in zip(_QKV, thirds, strict=True)
            }
        else:
            strange.append(name)
    if strange:
        raise CheckpointError(
            f"{source}: holds tensors that a plain CLIP has not: {some(sorted(strange))}; "
            "only plain ViT and ResNet CLIPs are read"
        )
    return converted


def openclip_from_hf(state: State) -> State:
    """The inverse of `hf_from_openclip`, exactly.

    Raises:
        CheckpointError: tensors that a plain CLIP does not have.
    """
    converted: State = {}
    strange = []
    for name, tensor in state.items():
        theirs = openclip_name(name)
        if theirs is None:
            strange.append(name)
        elif theirs.rsplit("_", 1)[0].endswith("attn.in_proj"):
            parts = [re.sub(r"[qkv]_proj", part, name) for part in _QKV]
            strange += [part for part in parts if part not in state]
            converted[theirs] = torch.cat([state[part] for part in parts if part in state])
        else:
            converted[theirs] = tensor.T.contiguous() if theirs in _TRANSPOSED else tensor
    if strange:
        raise CheckpointError(
            f"state dict: holds or lacks what a plain CLIP does not: {some(sorted(set(strange)))}"
        )
    return converted


def openclip_name(name: str) -> str | None:
    """What OpenCLIP calls transformers' tensor of that name; None if it has none."""
    for theirs, ours in _NAMES.items():
        if name == ours:
            return theirs
    if name.startswith("visual."):
        return name
    layer = _LAYER.fullmatch(name)
    if not layer:
        return None
    stack = next(theirs for theirs, ours in _STACKS.items() if ours == layer[1])
    if layer[3].removeprefix("self_attn.") in _QKV:
        return f"{stack}{layer[2]}.attn.in_proj_{layer[4]}"
    for theirs, ours in _PARTS.items():
        if layer[3] == ours:
            return f"{stack}{layer[2]}.{theirs}.{layer[4]}"
    return None
