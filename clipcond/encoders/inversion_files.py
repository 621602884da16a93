"""The files that people have textual inversions in, and what is said of those that are none.

{"<moss>": v}                                     diffusers: one word and its vectors
{"string_to_param": {"*": v}, "name": "moss"}     the original code and AUTOMATIC1111; a ParameterDict, in old files
{"emb_params": v}                                 kohya
{"clip_l": v, "clip_g": v}                        for several encoders, by ComfyUI's names of them
{"bundle_emb.moss.string_to_param.*": v, ...}     AUTOMATIC1111: inside the LoRA that wants them
"""

import pickle
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import nn

from clipcond.errors import CheckpointError

CLIPS = ("clip_l", "clip_g")
ANY = ""
_OF_ANY_CLIP = ("clip_h", "emb_params")  # found by their width
_OF_OTHERS = ("t5xxl", "t5", "umt5xxl", "pile_t5xl", "mt5xl", "bert", "llama", "gemma2_2b")
_PLACEHOLDER = "*"  # what the original code trains, whatever word it is for
_WRAPPERS = ("state_dict", "model", "embedding", "embeddings")
_BUNDLED = re.compile(r"bundle_emb\.(.+)\.(clip_l|clip_g|clip_h|emb_params|string_to_param\.\*)")
_LORA = re.compile(r"\.lora[._](?:up|down|A|B|linear_layer)\b")
_GLOBAL = re.compile(r"GLOBAL (\S+)")
_MOST_VALUES = 1 << 26  # a pickle of some bytes can say terabytes; a window has under 1 << 18
_DEEPEST = 4
_NAMED = 5  # of many, in messages
_CONTAINERS = (nn.ParameterDict, nn.ParameterList)
_loading = threading.Lock()

Vectors = Float[torch.Tensor, "vectors width"]


def read_inversion(path: Path, token: str | None) -> tuple[tuple[str, ...], dict[str, Vectors]]:
    """(words for it, vectors by encoder: "clip_l", "clip_g", or "" for any CLIP of their width).

    The word in the file comes first, then the file's name. Pickled files are read without running code.

    Args:
        path: the file.
        token: which, where a LoRA brings several.

    Raises:
        CheckpointError: it is missing, damaged, or no textual inversion.
    """
    word, state = _opened(_read(path), path)
    if bundled := _bundled(state):
        word, found = _chosen(bundled, path, token)
        words = [word]
    else:
        word, found = _vectors(word, state, path)
        words = [word.strip(), path.stem] if word != _PLACEHOLDER else [path.stem]
    checked = {kind: _checked(value, path) for kind, value in found.items()}
    counts = {kind: len(checked[kind]) for kind in CLIPS if kind in checked}
    if len(set(counts.values())) > 1:
        each = " and ".join(f"{count} for {kind}" for kind, count in counts.items())
        raise CheckpointError(
            f"{path} is no textual inversion: it has vectors of one word, but {each}; both encoders read as many"
        )
    return tuple(word for word in words if word), checked


def _read(path: Path) -> object:
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 no mapping
        with _containers_allowed():
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle is a program, and a damaged one may fail with anything
        raise CheckpointError(
            f"{path} cannot be read as a textual inversion: {_reason(path, error)}"
        ) from error


@contextmanager
def _containers_allowed() -> Iterator[None]:
    """Let torch's unpickler build containers of parameters; its list of what it may build is one for all threads."""
    with _loading:
        known = torch.serialization.get_safe_globals()
        with torch.serialization.safe_globals([kind for kind in _CONTAINERS if kind not in known]):
            yield


def _reason(path: Path, error: Exception) -> str:
    """In our own words: torch's are advice to run the file's code."""
    if not path.is_file():
        return "there is no such file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, pickle.UnpicklingError) and (found := _GLOBAL.search(str(error))):
        return f"its pickle asks for {found[1]}, which no vectors need; nothing was run, do not trust this file"
    kind = "safetensors file" if isinstance(error, SafetensorError) else "file of torch.save"
    return f"it is damaged, or no {kind}; copy or download it again"


def _opened(content: object, path: Path) -> tuple[str, dict[str, object]]:
    """A file's content by name, taken out of what it is wrapped in; and the word that it was wrapped under, or ""."""
    word = ""
    for _ in range(_DEEPEST):
        content = _plain(content)
        if torch.is_tensor(content):
            return word, {_PLACEHOLDER: content}
        if not isinstance(content, Mapping):
            break
        state = {str(key): _plain(value) for key, value in content.items()}
        inner = [key for key, value in state.items() if isinstance(value, Mapping)]
        bare = "string_to_param" not in state and not any(map(torch.is_tensor, state.values()))
        if not bare or len(inner) != 1:
            return word, state
        word, content = ("" if inner[0] in _WRAPPERS else inner[0]), state[inner[0]]
    raise CheckpointError(f"{path} is no textual inversion: it holds a {type(content).__name__}")


def _vectors(word: str, state: Mapping[str, object], path: Path) -> tuple[str, dict[str, object]]:
    """The word in the file or "", and its vectors, unchecked."""
    if any(_LORA.search(key) for key in state):
        raise CheckpointError(
            f"{path} is a LoRA, no textual inversion; load it with pipe.load_lora_weights"
        )
    if isinstance(parameters := state.get("string_to_param"), Mapping):
        return str(state.get("name") or word), {ANY: _only(parameters, path)[1]}
    tensors: dict[str, object] = {k: value for k, value in state.items() if torch.is_tensor(value)}
    if any(key in tensors for key in CLIPS):
        return word, tensors
    if known := [key for key in _OF_ANY_CLIP if key in tensors]:
        return word, {ANY: tensors[known[0]]}
    if others := [key for key in tensors if key in _OF_OTHERS]:
        raise CheckpointError(
            f"{path}: its vectors are for {', '.join(others)}; only CLIP's text encoders read textual inversions"
        )
    name, vectors = _only(tensors, path)
    return word or name, {ANY: vectors}


def _plain(value: object) -> object:
    """Parameters out of torch's containers, whichever version pickled them."""
    if not isinstance(value, _CONTAINERS):
        return value
    held = vars(value).get("_parameters") or {}
    if isinstance(value, nn.ParameterList) and len(held) == 1:
        return {_PLACEHOLDER: next(iter(held.values()))}
    return dict(held)


def _only(parameters: Mapping[str, object], path: Path) -> tuple[str, object]:
    """The word and the vectors of a file for one word."""
    if len(parameters) == 1:
        return next(iter(parameters.items()))
    words = ", ".join(list(parameters)[:_NAMED]) or "no vectors"
    more = ", ..." if len(parameters) > _NAMED else ""
    raise CheckpointError(
        f"{path} is no textual inversion of one word, it holds {words}{more}; it needs vectors under clip_l and clip_g, "
        "emb_params, string_to_param, or a word of its own"
    )


def _bundled(state: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """Word -> vectors, of those that a LoRA brings along."""
    found: dict[str, dict[str, object]] = {}
    for key, value in state.items():
        if match := _BUNDLED.fullmatch(key):
            found.setdefault(match[1], {})[match[2] if match[2] in CLIPS else ANY] = value
    return found


def _chosen(
    bundled: Mapping[str, dict[str, object]], path: Path, token: str | None
) -> tuple[str, dict[str, object]]:
    """The one that was asked for, or the only one."""
    if token is not None and token in bundled:
        return token, bundled[token]
    if len(bundled) == 1:
        return next(iter(bundled.items()))
    raise CheckpointError(
        f"{path} is a LoRA that brings textual inversions along (bundle_emb): {', '.join(sorted(bundled))}; say which "
        f"with TextualInversion.load(file, token={min(bundled)!r})"
    )


def _checked(value: object, path: Path) -> Vectors:
    """Vectors in float32.

    Raises:
        CheckpointError: no tensor, or not of such a shape or type.
    """
    what = f"{value.dtype} {list(value.shape)}" if torch.is_tensor(value) else type(value).__name__
    if (
        not torch.is_tensor(value)
        or value.ndim not in (1, 2)
        or not 0 < value.numel() <= _MOST_VALUES
        or not value.is_floating_point()
    ):
        raise CheckpointError(
            f"{path} is no textual inversion: it needs vectors, numbers of [vectors, width], but holds {what}"
        )
    found: Vectors = value.detach().to_dense().float().clone()
    if not bool(found.isfinite().all()):
        raise CheckpointError(f"{path}: its vectors are damaged, they have values of nan or inf")
    return found[None] if found.ndim == 1 else found
