"""Loading a CLIP from a transformers folder, with one clear line for whatever is wrong with it.

Only safetensors are read: a pickle can run code. transformers fills missing weights with random numbers and a
warning; here they are an error, since random towers score without complaint.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch

from clipcond.clip.preprocess import Preprocessing
from clipcond.clip.towers import Clip
from clipcond.errors import CheckpointError

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_HUB_FILES = ["*.json", "*.txt", "*.safetensors"]


def load_clip(
    folder: str | Path, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> Clip:
    """Both towers, tokenizer and picture preparation of a CLIP.

    Args:
        folder: a transformers folder of a CLIPModel, a folder that holds one in clip/, or a hub id.
        device: where the towers run.
        dtype: what the towers compute in; features are compared in float32 whatever it is.

    Raises:
        CheckpointError: no such folder, a file missing, damaged or of another kind; the message names the file.
    """
    root = _find(folder)
    model_config = _read_json(root / "config.json")
    if model_config.get("model_type") != "clip":
        raise CheckpointError(
            f"{root / 'config.json'}: model_type is {model_config.get('model_type')!r}, not 'clip'; "
            "name a folder that CLIPModel.save_pretrained wrote"
        )
    weights = _weight_files(root)
    model = _load_model(root, weights).to(device=device, dtype=dtype).eval()
    preprocessing = _load_preprocessing(root)
    image_size = model.config.vision_config.image_size
    if preprocessing.crop != (image_size, image_size):
        raise CheckpointError(
            f"{root}: preprocessor_config.json crops {preprocessing.crop} but the image tower reads {image_size} x "
            f"{image_size}; the two files are of different models"
        )
    return Clip(
        model=model,
        tokenizer=_load_tokenizer(root, model),
        preprocessing=preprocessing,
        digest=_digest(weights),
        name=str(folder) if _is_hub_id(folder) else Path(folder).resolve().name,
    )


def check_safetensors(file: Path) -> None:
    """Read a safetensors file's header and extent.

    Raises:
        CheckpointError: missing, cut short or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            opened.keys()
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file}: not a readable safetensors file ({error}); copy or download it again"
        ) from error


def _is_hub_id(folder: str | Path) -> bool:
    return isinstance(folder, str) and bool(_HUB_ID.fullmatch(folder)) and not Path(folder).exists()


def _find(folder: str | Path) -> Path:
    root = _download(str(folder)) if _is_hub_id(folder) else Path(folder)
    if not root.is_dir():
        found = "is a file, not a folder" if root.exists() else "no such folder"
        raise CheckpointError(
            f"{root}: {found}; name a folder that CLIPModel.save_pretrained wrote"
        )
    for candidate in (root, root / "clip"):
        if (candidate / "config.json").is_file():
            return candidate
    raise CheckpointError(f"{root}: holds no config.json and no clip/config.json, so it is no CLIP")


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    # the hub client raises its own, httpx's and OSError subclasses: whatever it was, the folder is not there
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"{name}: no such folder, and not to be had from the hub ({type(error).__name__}: {reason}); "
            "check the name and the connection"
        ) from error


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file}: missing; copy or download the folder again") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file}: not readable as JSON ({error}); copy or download it again"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{file}: holds {type(content).__name__}, not an object; download it again"
        )
    return content


def _weight_files(root: Path) -> list[Path]:
    """The safetensors of the model, one or sharded, each checked."""
    index = root / "model.safetensors.index.json"
    if index.is_file():
        shards = _read_json(index).get("weight_map", {})
        files = [root / name for name in sorted(set(shards.values()))]
    else:
        files = [root / "model.safetensors"]
    for file in files:
        if not file.is_file():
            raise CheckpointError(
                f"{file}: missing; only safetensors are read, so save the model with "
                "CLIPModel.save_pretrained (pickled weights can run code)"
            )
        check_safetensors(file)
    return files


def _load_model(root: Path, weights: list[Path]) -> Any:
    from transformers import CLIPModel

    try:
        model, info = CLIPModel.from_pretrained(
            root, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"{root / 'config.json'}: does not describe the weights beside it ({reason}); download the folder again"
        ) from error
    missing = sorted(info["missing_keys"])
    if missing:
        raise CheckpointError(
            f"{weights[0]}: lacks {len(missing)} of the model's tensors, e.g. {missing[0]}; "
            "it is no full CLIPModel (both towers), or it was cut"
        )
    return model


def _load_tokenizer(root: Path, model: Any) -> Any:
    from transformers import CLIPTokenizer

    # without these CLIPTokenizer makes up a vocabulary of two
    if not (root / "tokenizer.json").is_file() and not (root / "vocab.json").is_file():
        raise CheckpointError(
            f"{root / 'tokenizer.json'}: missing, as is vocab.json; save the tokenizer into the folder too"
        )
    try:
        tokenizer = CLIPTokenizer.from_pretrained(root, local_files_only=True)
    # the Rust tokenizers raise bare Exception for a damaged file
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"{root / 'tokenizer.json'}: unreadable tokenizer ({reason}); copy or download it again"
        ) from error
    vocabulary = model.config.text_config.vocab_size
    if tokenizer.eos_token_id is None or len(tokenizer) > vocabulary:
        raise CheckpointError(
            f"{root / 'tokenizer.json'}: has {len(tokenizer)} tokens but the text tower knows {vocabulary}; "
            "the two are of different models"
        )
    return tokenizer


def _load_preprocessing(root: Path) -> Preprocessing:
    """From preprocessor_config.json, or processor_config.json where transformers 5 nests the same numbers."""
    file = root / "preprocessor_config.json"
    if file.is_file():
        return Preprocessing.from_config(_read_json(file), str(file))
    nested = root / "processor_config.json"
    if nested.is_file():
        return Preprocessing.from_config(_read_json(nested).get("image_processor", {}), str(nested))
    raise CheckpointError(f"{file}: missing; save the image processor into the folder too")


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
