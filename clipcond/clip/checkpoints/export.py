"""Writing a loaded CLIP as transformers or OpenCLIP read it, so that one layout becomes another."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from clipcond.clip.architecture import ImageTower
from clipcond.clip.checkpoints.layouts import openclip_from_hf
from clipcond.clip.checkpoints.openclip import CONFIG, RESIZE_MODES, WEIGHTS
from clipcond.clip.reading import is_clip_bpe
from clipcond.clip.towers import Clip
from clipcond.errors import CheckpointError


def save_clip(clip: Clip, folder: str | Path, *, layout: str = "transformers") -> None:
    """Write weights in the dtype that they have now, sizes, tokenizer and picture preparation into a folder.

    Args:
        clip: any that `load_clip` gave.
        folder: made if it is not there; files in it are overwritten.
        layout: "transformers" (CLIPModel.from_pretrained reads it) or "openclip" (open_clip's local-dir: does).

    Raises:
        CheckpointError: the layout is unknown or cannot say what this CLIP is, or the folder cannot be written.
    """
    if layout not in _WRITERS:
        raise CheckpointError(f"layout: got {layout!r}; choose one of {', '.join(_WRITERS)}")
    root = Path(folder)
    try:
        root.mkdir(parents=True, exist_ok=True)
        _WRITERS[layout](clip, root)
        clip.tokenizer.save_pretrained(root)
    except OSError as error:
        raise CheckpointError(f"{root}: cannot write there ({error})") from error


def check_openclip(clip: Clip) -> None:
    """That OpenCLIP's configuration can say what a CLIP is, so that the end of a long training is no surprise.

    Raises:
        CheckpointError: it cannot.
    """
    _openclip_config(clip)


def _write_transformers(clip: Clip, root: Path) -> None:
    if clip.architecture.is_resnet:
        raise CheckpointError(
            f"{clip.name}: transformers has no ResNet image tower; save it with layout='openclip'"
        )
    if clip.logit_bias is not None and clip.architecture.kind == "clip":
        raise CheckpointError(
            f"{clip.name}: transformers' CLIPModel has no place for its logit_bias; save it with layout='openclip'"
        )
    preprocessing = clip.preprocessing.to_config()
    clip.model.save_pretrained(root)
    (root / "preprocessor_config.json").write_text(
        json.dumps(preprocessing, indent=2) + "\n", encoding="utf-8"
    )


def _write_openclip(clip: Clip, root: Path) -> None:
    from safetensors.torch import save_file

    config = _openclip_config(clip)
    own = {k: v for k, v in clip.model.state_dict().items() if not k.endswith("position_ids")}
    if clip.logit_bias is not None:
        own["logit_bias"] = torch.tensor(clip.logit_bias, dtype=clip.model.dtype)
    state = {name: tensor.contiguous() for name, tensor in openclip_from_hf(own).items()}
    save_file(state, root / WEIGHTS[0], metadata={"format": "pt"})
    (root / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _openclip_config(clip: Clip) -> dict[str, Any]:
    text, image = clip.architecture.text, clip.architecture.image
    preprocessing = clip.preprocessing
    activations = (
        {text.activation} if clip.architecture.is_resnet else {text.activation, image.activation}
    )
    plain = (
        clip.architecture.kind == "clip"
        and is_clip_bpe(clip.tokenizer)
        and len(activations) == 1
        and activations <= {"gelu", "quick_gelu"}
        and text.eps == image.eps == 1e-5
        and preprocessing.shortest_edge == image.image_size
        and preprocessing.rescale_factor == 1 / 255
    )
    if not plain:
        raise CheckpointError(
            f"{clip.name}: a {clip.architecture.kind} with a {type(clip.tokenizer).__name__}, activations "
            f"{sorted(activations)}, layer norms of eps {text.eps} and {image.eps} or "
            f"pictures of {preprocessing.shortest_edge} pixels is nothing that open_clip_config.json can say"
        )
    return {
        "model_cfg": {
            "embed_dim": clip.architecture.dim,
            "quick_gelu": activations == {"quick_gelu"},
            **({} if clip.logit_bias is None else {"init_logit_bias": clip.logit_bias}),
            "vision_cfg": _vision_config(image),
            "text_cfg": _text_config(clip),
        },
        "preprocess_cfg": {
            "mean": list(preprocessing.mean),
            "std": list(preprocessing.std),
            "interpolation": Image.Resampling(preprocessing.resample).name.lower(),
            "resize_mode": RESIZE_MODES[preprocessing.trained],
            "fill_color": preprocessing.fill or 0,
        },
    }


def _vision_config(image: ImageTower) -> dict[str, Any]:
    sizes: dict[str, Any] = {"image_size": image.image_size, "width": image.width}
    if isinstance(image.layers, tuple) or image.mlp is None:
        return sizes | {"layers": image.layers, "head_width": image.width * 32 // image.heads}
    return sizes | {
        "layers": image.layers,
        "patch_size": image.patch,
        "head_width": image.width // image.heads,
        "mlp_ratio": image.mlp / image.width,
    }


def _text_config(clip: Clip) -> dict[str, Any]:
    text, cleaning = clip.architecture.text, clip.reader.cleaning
    return {
        "context_length": text.context,
        "vocab_size": text.vocabulary,
        "width": text.width,
        "heads": text.heads,
        "layers": text.layers,
        "mlp_ratio": text.mlp / text.width,
        **({} if cleaning in (None, "lower") else {"tokenizer_kwargs": {"clean": cleaning}}),
    }


_WRITERS: dict[str, Callable[[Clip, Path], None]] = {
    "transformers": _write_transformers,
    "openclip": _write_openclip,
}
