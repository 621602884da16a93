"""Loading a CLIP from any of the three layouts in use, with one clear line for whatever is wrong with it.

transformers' folders, OpenCLIP's files and folders, OpenAI's TorchScript archives: all become the same tensors under
the same names, are checked, counted into a digest, and handed to the towers. No pickle is run.
"""

from pathlib import Path
from typing import Any

import torch

from clipcond.clip.checkpoints.assemble import Parts, build_model, check_tensors, with_reader
from clipcond.clip.checkpoints.kinds import config_of
from clipcond.clip.checkpoints.layouts import without_wrapping
from clipcond.clip.checkpoints.openclip import CONFIG, read_openclip_file, read_openclip_folder
from clipcond.clip.preprocess import Preprocessing
from clipcond.clip.tokenizer import find_tokenizer
from clipcond.clip.towers import Clip
from clipcond.errors import CheckpointError
from clipcond.files import WEIGHT_SUFFIXES, download, is_hub_id, read_json, read_safetensors
from clipcond.identity import weights_digest

_HUB_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


def load_clip(
    source: str | Path,
    *,
    tokenizer: Any = None,
    crop: str | None = None,
    resizing: str = "exact",
    quick_gelu: bool | None = None,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Clip:
    """Both towers, tokenizer and picture preparation of a CLIP.

    Args:
        source: a transformers folder of a CLIPModel, SiglipModel or MetaClip2Model, a folder that holds one in clip/, a
            hub id, an OpenCLIP folder or file (.safetensors, .bin, .pt, .ckpt), or an OpenAI TorchScript archive (.pt).
        tokenizer: transformers' object, or where one is (folder, hub id, bpe_simple_vocab_16e6.txt.gz); None for the
            one in or beside `source`, or that of an installed open_clip_torch.
        crop: how pictures that are not square meet the image tower: "center", "squash", "pad" or "multi" (see
            `Preprocessing`); None as the checkpoint asks for, "center" in most.
        resizing: "exact" as Pillow, or "fast" by torch (see `Preprocessing`).
        quick_gelu: for an OpenCLIP file without open_clip_config.json, which does not say; None takes GELU.
        device: where the towers run.
        dtype: what the towers compute in; features are compared in float32 whatever it is.

    Raises:
        CheckpointError: no such folder or file, something missing, damaged, hostile or of another kind; the message
            names the file.
        ScoreError: there is no such crop policy, or way to resize.
    """
    parts = _read(source, quick_gelu=quick_gelu)
    # what is quick to find wrong comes first
    preprocessing = parts.preprocessing.cropping(crop).resized(resizing)
    found = find_tokenizer(
        tokenizer,
        parts.root,
        parts.architecture.text.vocabulary,
        bundled=parts.layout == "transformers",
        called=parts.tokenizer_name,
    )
    parts, reader = with_reader(parts, found)
    check_tensors(parts)
    return Clip(
        model=build_model(parts).to(device=device, dtype=dtype),
        tokenizer=found,
        reader=reader,
        preprocessing=preprocessing,
        # by transformers' names, so that the same weights in another layout have the same digest
        digest=weights_digest(parts.state, parts.architecture.as_dict()),
        name=str(source) if is_hub_id(source) else Path(source).resolve().name,
        layout=parts.layout,
        architecture=parts.architecture,
        logit_bias=float(parts.state["logit_bias"]) if "logit_bias" in parts.state else None,
        assumed=parts.assumed,
    )


def _read(source: str | Path, *, quick_gelu: bool | None) -> Parts:
    root = download(str(source), _HUB_FILES) if is_hub_id(source) else Path(source)
    if root.is_file():
        return read_openclip_file(root, quick_gelu=quick_gelu)
    if not root.is_dir():
        kind = "file" if root.suffix in WEIGHT_SUFFIXES else "folder"
        raise CheckpointError(
            f"{root}: no such {kind}; name a folder that CLIPModel.save_pretrained wrote, "
            "or a file of OpenCLIP's or OpenAI's"
        )
    for folder in (root, root / "clip"):
        if (folder / CONFIG).is_file() and not _holds_transformers(folder):
            return read_openclip_folder(folder, quick_gelu=quick_gelu)
        if (folder / "config.json").is_file():
            return _read_transformers(folder, quick_gelu=quick_gelu)
    raise CheckpointError(
        f"{root}: holds no config.json, no clip/config.json and no {CONFIG}, so it is no CLIP"
    )


def _holds_transformers(folder: Path) -> bool:
    """Whether transformers' layout is there in full, as in many of OpenCLIP's hub repositories."""
    names = ("model.safetensors", "model.safetensors.index.json")
    return (folder / "config.json").is_file() and any((folder / n).is_file() for n in names)


def _read_transformers(root: Path, *, quick_gelu: bool | None) -> Parts:
    file = root / "config.json"
    config, architecture = config_of(read_json(file), str(file))
    if quick_gelu is not None:
        raise CheckpointError(f"{file}: says which activation it has; leave quick_gelu out")
    weights = _weight_files(root)
    preprocessing = _load_preprocessing(root)
    image_size = architecture.image.image_size
    if preprocessing.crop != (image_size, image_size):
        raise CheckpointError(
            f"{root}: preprocessor_config.json crops {preprocessing.crop} but the image tower reads {image_size} x "
            f"{image_size}; the two files are of different models"
        )
    tensors = {name: t for shard in weights for name, t in read_safetensors(shard).items()}
    # CLIPModel takes 2 for the highest id, which it was in the first configurations; MetaClip2Model takes it as it is
    end = config.text_config.eos_token_id
    return Parts(
        layout="transformers",
        state=without_wrapping(tensors),
        architecture=architecture,
        config=config,
        preprocessing=preprocessing,
        root=root,
        weights=str(weights[0]),
        sizes=str(file),
        text_end=None if architecture.kind == "clip" and end == 2 else end,
    )


def _weight_files(root: Path) -> list[Path]:
    """The safetensors of the model, one or sharded."""
    index = root / "model.safetensors.index.json"
    if index.is_file():
        shards = read_json(index).get("weight_map", {})
        files = [root / name for name in sorted(set(shards.values()))]
    else:
        files = [root / "model.safetensors"]
    for file in files:
        if not file.is_file():
            raise CheckpointError(
                f"{file}: missing; of transformers' folders only safetensors are read, so save the model with "
                "CLIPModel.save_pretrained (pickled weights can run code)"
            )
    return files


def _load_preprocessing(root: Path) -> Preprocessing:
    """From preprocessor_config.json, or processor_config.json where transformers 5 nests the same numbers."""
    file = root / "preprocessor_config.json"
    if file.is_file():
        return Preprocessing.from_config(read_json(file), str(file))
    nested = root / "processor_config.json"
    if nested.is_file():
        return Preprocessing.from_config(read_json(nested).get("image_processor", {}), str(nested))
    raise CheckpointError(f"{file}: missing; save the image processor into the folder too")
