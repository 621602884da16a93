"""Reading OpenCLIP's files and folders, and OpenAI's archives, whose names and shapes OpenCLIP kept."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from clipcond.clip.architecture import Architecture
from clipcond.clip.checkpoints.archive import read_archive
from clipcond.clip.checkpoints.assemble import Parts
from clipcond.clip.checkpoints.kinds import instead_of
from clipcond.clip.checkpoints.layouts import hf_from_openclip, is_openai, without_wrapping
from clipcond.clip.checkpoints.shapes import HEAD_WIDTH, from_weights
from clipcond.clip.checkpoints.unwrap import unwrap
from clipcond.clip.preprocess import Preprocessing
from clipcond.clip.reading import CLEANINGS
from clipcond.errors import CheckpointError
from clipcond.files import State, read_json, read_safetensors, some

CONFIG = "open_clip_config.json"
# as open_clip.push_to_hf_hub writes them; the first that is there is read
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")

# PreprocessCfg's defaults
_PREPROCESS: dict[str, Any] = {
    "mode": "RGB",
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "interpolation": "bicubic",
    "resize_mode": "shortest",
    "fill_color": 0,
}
_TEXT_HEADS = 8  # CLIPTextCfg's default
_FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "random": Image.Resampling.BICUBIC,  # of training; outside it bicubic
}
RESIZE_MODES = {"center": "shortest", "squash": "squash", "pad": "longest"}  # by our policy
# what model_cfg may say; anything else that is set (a timm tower, a BERT, layer scale, ...) is another kind of model
_KNOWN = {
    "": {
        "embed_dim", "quick_gelu", "vision_cfg", "text_cfg", "custom_text", "init_logit_scale", "init_logit_bias",
    },
    "vision_cfg": {
        "image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio",
        "patch_dropout", "output_tokens",
    },
    "text_cfg": {
        "context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "hf_tokenizer_name",
        "tokenizer_kwargs", "output_tokens", "pad_id", "eos_id",
    },
}  # fmt: skip
# set, and yet a plain CLIP's
_PLAIN = {
    "pool_type": {"tok", "argmax", "eos"},
    "pos_embed_type": {"learnable"},
    "proj_type": {"linear"},
    "block_type": {"default"},
}


def read_openclip_folder(root: Path, *, quick_gelu: bool | None) -> Parts:
    """A folder that open_clip's push_to_hf_hub wrote.

    Raises:
        CheckpointError: no weights in it, or what `read_openclip_file` raises.
    """
    for name in WEIGHTS:
        if (root / name).is_file():
            return read_openclip_file(root / name, quick_gelu=quick_gelu)
    raise CheckpointError(
        f"{root / WEIGHTS[0]}: missing, as is {WEIGHTS[1]}; download the folder again"
    )


def read_openclip_file(file: Path, *, quick_gelu: bool | None) -> Parts:
    """A file of OpenCLIP's or OpenAI's, and the open_clip_config.json beside it if there is one.

    Args:
        file: safetensors, or a zip that torch.save or torch.jit.save wrote.
        quick_gelu: which activation a file without a configuration has; None for QuickGELU in OpenAI's own archives
            and GELU, OpenCLIP's default, in others.

    Raises:
        CheckpointError: not such a file, damaged, hostile, or at odds with the configuration.
    """
    raw = read_safetensors(file) if file.suffix == ".safetensors" else read_archive(file)
    tensors, left = unwrap(raw, str(file))
    openai = is_openai(tensors)
    bare = without_wrapping(tensors)
    if any(name.startswith("text_model.") for name in bare):
        raise CheckpointError(
            f"{file}: has transformers' tensor names; name the folder that also holds its config.json"
        )
    state = hf_from_openclip(bare, str(file))
    for name in ("logit_scale", "logit_bias"):
        if name in state and state[name].numel() == 1:
            state[name] = state[name].reshape(())  # [1] in some trainers' files
    beside = file.parent / CONFIG
    parts = (
        _from_weights_alone(file, state, openai=openai, quick_gelu=quick_gelu)
        if openai or not beside.is_file()
        else _with_config(file, state, beside, quick_gelu=quick_gelu)
    )
    return replace(parts, assumed=(*parts.assumed, *left))


def _from_weights_alone(
    file: Path, state: State, *, openai: bool, quick_gelu: bool | None
) -> Parts:
    assumed = []
    if not openai:
        assumed.append("one attention head per 64 channels (80, 88 or 104 in OpenCLIP's widest)")
        assumed.append("a causal mask, features at the end-of-text and class tokens, and eps 1e-5")
        assumed.append("OpenAI's size, mean, std and centre crop of pictures")
        if quick_gelu is None:
            assumed.append("GELU, OpenCLIP's default, and not QuickGELU")
    quick = openai if quick_gelu is None else quick_gelu
    activation = "quick_gelu" if quick else "gelu"
    built = from_weights(state, str(file), activation=activation)
    return Parts(
        layout="openai" if openai else "openclip",
        state=state,
        architecture=built,
        config=built.to_transformers(),
        preprocessing=_preprocessing({}, built.image.image_size, str(file)),
        root=file.parent,
        weights=str(file),
        sizes=str(file),
        cleaning="lower",
        simple=True,
        assumed=tuple(assumed),
    )


def _with_config(file: Path, state: State, beside: Path, *, quick_gelu: bool | None) -> Parts:
    content = read_json(beside)
    model = _section(content, "model_cfg", beside)
    text, vision = _section(model, "text_cfg", beside), _section(model, "vision_cfg", beside)
    for name, section in (("", model), ("vision_cfg", vision), ("text_cfg", text)):
        _refuse_strange(section, name, model, beside)
    named = text.get("hf_tokenizer_name")
    quick = bool(model.get("quick_gelu", False))
    if quick_gelu not in (None, quick):
        raise CheckpointError(
            f"{beside}: says quick_gelu {quick}, but {quick_gelu} was asked for; leave quick_gelu out"
        )
    built = from_weights(
        state,
        str(file),
        activation="quick_gelu" if quick else "gelu",
        text_heads=_number(text, "heads", beside) or _TEXT_HEADS,
        image_head_width=_number(vision, "head_width", beside) or HEAD_WIDTH,
    )
    _same_sizes(model, built, beside)
    return Parts(
        layout="openclip",
        state=state,
        architecture=built,
        config=built.to_transformers(),
        preprocessing=_preprocessing(
            _section(content, "preprocess_cfg", beside, optional=True),
            built.image.image_size,
            str(beside),
        ),
        root=file.parent,
        weights=str(file),
        sizes=str(beside),
        cleaning=_cleaning(text, "whitespace" if named else "lower", beside),
        simple=not named,
        text_end=_number(text, "eos_id", beside) if text.get("pool_type") == "eos" else None,
        tokenizer_name=named or None,
    )


def _section(
    content: Mapping[str, Any], name: str, source: Path, *, optional: bool = False
) -> Mapping[str, Any]:
    value = content.get(name, {} if optional else None)
    if not isinstance(value, Mapping):
        raise CheckpointError(
            f"{source}: {name} is {value!r}, not an object; download the file again"
        )
    return value


def _refuse_strange(
    section: Mapping[str, Any], name: str, model: Mapping[str, Any], source: Path
) -> None:
    strange = [
        f"{key} {value!r}"
        for key, value in section.items()
        if key not in _KNOWN[name] and value and value not in _PLAIN.get(key, ())
    ]
    if strange:
        raise CheckpointError(
            f"{source}: {name or 'model_cfg'} asks for {some(strange)}, which is no plain CLIP; {instead_of(model)}"
        )


def _cleaning(text: Mapping[str, Any], usual: str, source: Path) -> str:
    """How open_clip's tokenizer cleans texts."""
    given = {"tokenizer_kwargs": text.get("tokenizer_kwargs") or {}}
    options = _section(given, "tokenizer_kwargs", source)
    clean = str(options.get("clean", usual))
    others = {key: value for key, value in options.items() if key != "clean" and value}
    if clean not in CLEANINGS or others:
        raise CheckpointError(
            f"{source}: tokenizer_kwargs is {options!r}; read is clean, one of {', '.join(CLEANINGS)}"
        )
    return clean


def _number(section: Mapping[str, Any], key: str, source: Path) -> int | None:
    value = section.get(key)
    if value is not None and (not isinstance(value, int) or value < 1):
        raise CheckpointError(f"{source}: {key} is {value!r}, not a whole number over 0")
    return value


def _same_sizes(model: Mapping[str, Any], built: Architecture, source: Path) -> None:
    """That what the configuration says of sizes is what the weights have."""
    text, image = built.text, built.image
    found: dict[str, dict[str, Any]] = {
        "": {"embed_dim": built.dim},
        "text_cfg": {
            "context_length": text.context,
            "vocab_size": text.vocabulary,
            "width": text.width,
            "layers": text.layers,
        },
        "vision_cfg": {
            "image_size": image.image_size,
            "width": image.width,
            "patch_size": image.patch,
            "layers": list(image.layers) if isinstance(image.layers, tuple) else image.layers,
        },
    }
    for name, sizes in found.items():
        section = model[name] if name else model
        for key, size in sizes.items():
            said = section.get(key)
            if said is not None and said not in (size, [size, size]):
                raise CheckpointError(
                    f"{source}: {key} is {said}, but the weights have {size}; the two are of different models"
                )


def _preprocessing(config: Mapping[str, Any], image_size: int, source: str) -> Preprocessing:
    """OpenAI's, or what open_clip's preprocess_cfg says; what it leaves out or null is OpenAI's."""
    said = _PREPROCESS | {key: value for key, value in config.items() if value is not None}
    filter_name, mode, fill = said["interpolation"], said["resize_mode"], said["fill_color"]
    policies = {theirs: ours for ours, theirs in RESIZE_MODES.items()}
    if filter_name not in _FILTERS or mode not in policies or said["mode"] != "RGB":
        raise CheckpointError(
            f"{source}: prepares pictures of mode {said['mode']!r} by interpolation {filter_name!r} and resize_mode "
            f"{mode!r}; open_clip's are RGB, {', '.join(_FILTERS)} and {', '.join(policies)}"
        )
    policy = policies[mode]
    try:
        built = Preprocessing(
            shortest_edge=image_size,
            crop=(image_size, image_size),
            resample=_FILTERS[filter_name],
            rescale_factor=1 / 255,
            mean=_channels(said["mean"]),
            std=_channels(said["std"]),
            trained=policy,
            policy=policy,
            halves="even",
            fill=fill if policy == "pad" else None,
        )
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"{source}: mean {said['mean']!r} or std {said['std']!r} is not a number a channel"
        ) from error
    if not isinstance(fill, int) or not 0 <= fill <= 255:
        raise CheckpointError(f"{source}: fill_color is {fill!r}, not a byte; 0 is black")
    built.check(source)
    return built


def _channels(value: Any) -> tuple[float, float, float]:
    """open_clip takes one number for all channels."""
    red, green, blue = value if isinstance(value, list | tuple) else (value,) * 3
    return float(red), float(green), float(blue)
