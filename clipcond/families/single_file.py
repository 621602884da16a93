"""The text encoders of a whole diffusion model in one .safetensors file, as the original code bases lay it out.

Such a file holds no configuration and no tokenizer. Sizes are read from the shapes; heads are 64 channels wide, as in
every text tower of these families; the tokenizer is the caller's, or OpenAI's vocabulary. Only the text encoders' tensors
are read, in float32. The names follow diffusers' from_single_file, and so do three habits of it: Stable Diffusion 2
goes without its last layer, Stable Diffusion 3's first encoder has the identity for a projection, and encoders of
OpenCLIP's are padded with "!".
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from clipcond.clip.checkpoints.layouts import hf_from_openclip, openclip_name, without_wrapping
from clipcond.clip.checkpoints.shapes import text_from_weights
from clipcond.errors import CheckpointError
from clipcond.families.contract import PROJECTED, Contents, Role
from clipcond.families.file_tokenizers import END, find_tokenizers
from clipcond.families.finding import family_named
from clipcond.files import WEIGHT_SUFFIXES, State, check_safetensors, first_line, some

_SD2_LAYERS = {1024: 23}  # of OpenCLIP's ViT-H, which has 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Where a file has a text encoder.

    Attributes:
        prefix: of its tensors' names.
        names: what follows: "transformers" (with or without `text_model.`) or "openclip".
        activation: of the MLPs: QuickGELU in OpenAI's towers, GELU in OpenCLIP's.
        pad: the token that fills a row.
        penultimate: whether the last layer is left out.
        unprojected: whether the projection is the identity, whatever the file has.
    """

    prefix: str
    names: str = "transformers"
    activation: str = "quick_gelu"
    pad: str = END
    penultimate: bool = False
    unprojected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the files of a family look.

    Attributes:
        family: its name.
        parts: encoder slot -> where it is; a file has this layout if it has all but the family's optional ones.
        width: how the name ends of a denoiser's tensor whose second axis is the width of its text states.
        zeros: whether no negative prompt means zeros, as the family's published pipelines say.
        without_t5: the width where the file has neither denoiser nor T5; None for the CLIPs' widths side by side.
    """

    family: str
    parts: Mapping[str, Part]
    width: str
    zeros: bool = False
    without_t5: int | None = None


_OPENCLIP = Part(prefix="", names="openclip", activation="gelu", pad="!")
_UNET, _SD3, _FLUX = "attn2.to_k.weight", "context_embedder.weight", "diffusion_model.txt_in.weight"
_CLIP_L, _T5 = "text_encoders.clip_l.transformer.", "text_encoders.t5xxl.transformer."
LAYOUTS: tuple[Layout, ...] = (
    Layout(
        family="Stable Diffusion XL",
        parts={
            "text_encoder": Part(prefix="conditioner.embedders.0.transformer."),
            "text_encoder_2": replace(_OPENCLIP, prefix="conditioner.embedders.1.model."),
        },
        width=_UNET,
        zeros=True,
    ),
    Layout(
        family="Stable Diffusion XL refiner",
        parts={"text_encoder_2": replace(_OPENCLIP, prefix="conditioner.embedders.0.model.")},
        width=_UNET,
    ),
    Layout(
        family="Stable Diffusion 1 and 2",
        parts={"text_encoder": Part(prefix="cond_stage_model.transformer.")},
        width=_UNET,
    ),
    Layout(
        family="Stable Diffusion 1 and 2",
        parts={
            "text_encoder": replace(_OPENCLIP, prefix="cond_stage_model.model.", penultimate=True)
        },
        width=_UNET,
    ),
    Layout(
        family="Stable Diffusion 3",
        parts={
            "text_encoder": Part(prefix=_CLIP_L, unprojected=True),
            "text_encoder_2": Part(
                prefix="text_encoders.clip_g.transformer.", activation="gelu", pad="!"
            ),
            "text_encoder_3": Part(prefix=_T5),
        },
        width=_SD3,
        without_t5=4096,
    ),
    Layout(
        family="Flux.1",
        parts={"text_encoder": Part(prefix=_CLIP_L), "text_encoder_2": Part(prefix=_T5)},
        width=_FLUX,
    ),
)


def is_single_file(source: str | Path) -> bool:
    """Whether this names a file of weights, and no folder or hub id."""
    return Path(source).is_file() or (
        Path(source).suffix in WEIGHT_SUFFIXES and not Path(source).is_dir()
    )


def read_single_file(file: Path, tokenizer: Any = None) -> Contents:
    """The text encoders of a diffusion model's file, in float32 on the CPU, with their tokenizers.

    Args:
        file: a .safetensors file of Stable Diffusion 1, 2, XL, the XL refiner, 3, 3.5 or Flux.1 in the original layout.
        tokenizer: see `Conditioner.from_pretrained`.

    Raises:
        CheckpointError: no such file, pickled, damaged, of another layout, tensors missing or too many; or no tokenizer.
    """
    if file.suffix != ".safetensors":
        raise CheckpointError(
            f"{file}: only .safetensors are read, since a pickle can run code; convert it with "
            "safetensors.torch.save_file(torch.load(path, weights_only=True)['state_dict'], ...)"
        )
    from safetensors import safe_open

    check_safetensors(file)
    with safe_open(file, framework="pt") as opened:
        names = list(opened.keys())
        layout = _layout_of(names, file)
        family = family_named(layout.family)
        denoiser = next((name for name in names if name.endswith(layout.width)), None)
        width = opened.get_slice(denoiser).get_shape()[1] if denoiser else None
        modules = {}
        for role in family.roles:
            part = layout.parts[role.slot]
            own = [name for name in names if name.startswith(part.prefix)]
            if own:
                tensors = {n.removeprefix(part.prefix): opened.get_tensor(n) for n in own}
                modules[role.slot] = _encoder(tensors, role, part, file)
    roles = [role for role in family.roles if role.slot in modules]
    tokenizers = find_tokenizers(
        tokenizer,
        {
            role: (modules[role.slot].config.vocab_size, layout.parts[role.slot].pad)
            for role in roles
        },
        file,
    )
    if width is None:
        width = _width(layout, {role: modules[role.slot] for role in roles})
    return Contents(family, modules | tokenizers, width, layout.zeros)


def _layout_of(names: Sequence[str], file: Path) -> Layout:
    for layout in LAYOUTS:
        optional = {role.slot for role in family_named(layout.family).roles if role.optional}
        needed = [part.prefix for slot, part in layout.parts.items() if slot not in optional]
        if all(any(name.startswith(prefix) for name in names) for prefix in needed):
            return layout
    known = "; ".join(
        f"{layout.family}: {', '.join(part.prefix + '*' for part in layout.parts.values())}"
        for layout in LAYOUTS
    )
    raise CheckpointError(
        f"{file}: holds no text encoders of a known layout ({known}), but {some(sorted(names)) or 'nothing'}; "
        "name a file of a whole model in the original layout, or a diffusers folder"
    )


def _width(layout: Layout, modules: Mapping[Role, Any]) -> int:
    """Of the text states of the denoiser that is not in the file: of its T5, or of its CLIPs side by side."""
    widths = {role: module.config.hidden_size for role, module in modules.items() if role.sequence}
    t5 = [width for role, width in widths.items() if role.is_t5]
    return t5[0] if t5 else layout.without_t5 or sum(widths.values())


def _encoder(tensors: State, role: Role, part: Part, file: Path) -> Any:
    where = f"{file}, {part.prefix}*"
    strange = [name for name, tensor in tensors.items() if not tensor.is_floating_point()]
    strange = [name for name in strange if name.rsplit(".", 1)[-1] != "position_ids"]
    if strange:
        raise CheckpointError(
            f"{where}: {some(strange)} are no floating-point numbers; quantised checkpoints are not read"
        )
    config, state = (_t5 if role.is_t5 else _clip)(tensors, role, part, where)
    # copies: tensors mapped from a file lie at any address, and where they lie decides the last bits of a product
    state = {name: tensor.to(torch.float32, copy=True) for name, tensor in state.items()}
    module, info = _load(role, config, state, where)
    for kind, found in (
        ("lacks", info["missing_keys"]),
        ("holds, with no place for them,", info["unexpected_keys"]),
    ):
        names = sorted({name if role.is_t5 else _own_name(name, part) for name in found})
        if names:
            raise CheckpointError(
                f"{where}: {kind} {len(names)} tensors of a {role.encoders[0]} of {config.num_hidden_layers} layers: "
                f"{some(names)}; download the file again"
            )
    return module.eval()


def _clip(tensors: State, role: Role, part: Part, where: str) -> tuple[Any, State]:
    """A CLIPTextConfig, and tensors by transformers' names."""
    from transformers import CLIPTextConfig

    bare = without_wrapping(tensors)
    bare.pop("logit_scale", None)
    if part.names == "openclip":
        state = hf_from_openclip(bare, where)
    else:
        state = {_prefixed(name): tensor for name, tensor in bare.items()}
    tower = text_from_weights(state, where, activation=part.activation)
    if part.penultimate:
        layers = _SD2_LAYERS.get(tower.width, tower.layers - 1)
        state = {name: t for name, t in state.items() if (_layer_of(name) or 0) < layers}
        tower = replace(tower, layers=min(tower.layers, layers))
    projection = state.pop("text_projection.weight", None)
    if part.unprojected and role.encoder == PROJECTED:
        projection = torch.eye(tower.width)
    dim = tower.width
    if projection is not None and role.encoder == PROJECTED:
        state["text_projection.weight"] = projection
        dim = len(projection)
    return CLIPTextConfig(**tower.to_transformers(dim)), state


def _prefixed(name: str) -> str:
    return name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}"


def _layer_of(name: str) -> int | None:
    found = re.search(r"\.layers\.(\d+)\.", name)
    return int(found[1]) if found else None


def _t5(tensors: State, role: Role, part: Part, where: str) -> tuple[Any, State]:  # noqa: ARG001 as `_clip`
    """A T5Config of a T5 v1.1 or an older one, whose MLPs have no gate."""
    from transformers import T5Config

    tensors.pop("encoder.embed_tokens.weight", None)  # the same as shared.weight
    block = "encoder.block.0.layer."
    gated = f"{block}1.DenseReluDense.wi_0.weight" in tensors
    names = {
        "shared": "shared.weight",
        "bias": f"{block}0.SelfAttention.relative_attention_bias.weight",
        "query": f"{block}0.SelfAttention.q.weight",
        "mlp": f"{block}1.DenseReluDense.{'wi_0' if gated else 'wi'}.weight",
    }
    lacking = [name for name in names.values() if name not in tensors]
    if lacking:
        raise CheckpointError(f"{where}: lacks {', '.join(lacking)}, so it is no T5 encoder")
    shapes = {key: tuple(tensors[name].shape) for key, name in names.items()}
    if any(len(shape) != 2 or 0 in shape for shape in shapes.values()):
        raise CheckpointError(f"{where}: has tensors of shapes that no T5 has: {shapes}")
    buckets, heads = shapes["bias"]
    config = T5Config(
        vocab_size=shapes["shared"][0],
        d_model=shapes["shared"][1],
        d_kv=shapes["query"][0] // heads,
        d_ff=shapes["mlp"][0],
        num_heads=heads,
        num_layers=1
        + max(int(m[1]) for n in tensors if (m := re.match(r"encoder\.block\.(\d+)\.", n))),
        relative_attention_num_buckets=buckets,
        feed_forward_proj="gated-gelu" if gated else "relu",
    )
    return config, tensors


def _load(role: Role, config: Any, state: State, where: str) -> tuple[Any, Mapping[str, Any]]:
    """The module, and what transformers says of the names."""
    import transformers

    module_class = getattr(transformers, role.encoders[0])
    try:
        module, info = module_class.from_pretrained(
            None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
        )
    # the sizes are from some of the tensors; transformers says in its own ways that others disagree
    except Exception as error:
        raise CheckpointError(
            f"{where}: its tensors do not fit each other ({first_line(error)}); download the file again"
        ) from error
    return module, info


def _own_name(name: str, part: Part) -> str:
    """What the file calls a tensor of transformers' name."""
    prefixed = _prefixed(name)
    return (openclip_name(prefixed) or name) if part.names == "openclip" else prefixed
