"""Finding the tokenizer of a checkpoint that may not carry one.

OpenAI's and OpenCLIP's files hold no vocabulary: their packages do, as bpe_simple_vocab_16e6.txt.gz. The same file gives the
same tokens here, by transformers' CLIPTokenizer.
"""

import gzip
import importlib.util
from pathlib import Path
from typing import Any

from clipcond.clip.files import download, first_line, is_hub_id
from clipcond.errors import CheckpointError

BPE_FILE = "bpe_simple_vocab_16e6.txt.gz"
_BPE_VOCABULARY = 49408
_BPE_BYTES = 16 << 20  # unpacked; it has 3.2 MB
_PACKAGES = ("open_clip", "clip")  # open_clip_torch's and openai/CLIP's
_HUB_FILES = ("tokenizer*", "vocab.json", "merges.txt", "special_tokens_map.json")


def find_tokenizer(given: Any, root: Path, vocabulary: int, *, bundled: bool) -> Any:
    """The CLIPTokenizer of a checkpoint.

    Args:
        given: a tokenizer, a folder, hub id or vocabulary file of one, or None to look for it.
        root: the checkpoint's folder.
        vocabulary: how many tokens the text tower knows.
        bundled: whether the layout has its tokenizer in the folder, as transformers' has.

    Raises:
        CheckpointError: none found, unreadable, or of another model.
    """
    if given is None:
        tokenizer, source = _look_for(root, vocabulary, bundled=bundled)
    elif isinstance(given, str | Path):
        place = download(str(given), _HUB_FILES) if is_hub_id(given) else Path(given)
        tokenizer, source = _read(place), str(given)
    else:
        tokenizer, source = given, f"tokenizer: {type(given).__name__}"
    if not callable(tokenizer) or getattr(tokenizer, "eos_token_id", None) is None:
        raise CheckpointError(
            f"{source}: no CLIP tokenizer, since it has no end-of-text token; pass a CLIPTokenizer, or its folder"
        )
    if len(tokenizer) > vocabulary:
        raise CheckpointError(
            f"{source}: has {len(tokenizer)} tokens but the text tower knows {vocabulary}; "
            "the two are of different models"
        )
    return tokenizer


def _look_for(root: Path, vocabulary: int, *, bundled: bool) -> tuple[Any, str]:
    if _holds_tokenizer(root):
        return _read(root), str(root / "tokenizer.json")
    if bundled:
        raise CheckpointError(
            f"{root / 'tokenizer.json'}: missing, as is vocab.json; save the tokenizer into the folder too"
        )
    candidates = [root / BPE_FILE, *_installed()]
    file = next((file for file in candidates if file.is_file()), None)
    if file is None or vocabulary != _BPE_VOCABULARY:
        found = "no tokenizer beside it" if file is None else f"{file} is of another model"
        raise CheckpointError(
            f"{root}: {found} for a text tower of {vocabulary} tokens; pass tokenizer= (a folder, a hub id such as "
            f"openai/clip-vit-base-patch32, or {BPE_FILE}), put tokenizer.json beside the file, "
            "or pip install open_clip_torch, which carries OpenAI's vocabulary"
        )
    return _read(file), str(file)


def _installed() -> list[Path]:
    """Where installed packages keep the vocabulary; found without importing them."""
    specs = [importlib.util.find_spec(name) for name in _PACKAGES]
    return [Path(spec.origin).parent / BPE_FILE for spec in specs if spec and spec.origin]


def _read(place: Path) -> Any:
    """From a folder, a tokenizer.json, or OpenAI's list of merges."""
    from transformers import CLIPTokenizer

    if not place.exists():
        raise CheckpointError(f"{place}: no such tokenizer file or folder; check the path")
    merges = place.name.endswith(".txt.gz")
    folder = place if place.is_dir() else place.parent
    if not merges and not _holds_tokenizer(folder):
        raise CheckpointError(
            f"{folder / 'tokenizer.json'}: missing, as is vocab.json; name a folder that a tokenizer was saved into"
        )
    try:
        return (
            _from_merges(place)
            if merges
            else CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        )
    # the Rust tokenizers raise bare Exception for a damaged file
    except Exception as error:
        file = place if place.is_file() else folder / "tokenizer.json"
        raise CheckpointError(
            f"{file}: unreadable tokenizer ({first_line(error)}); copy or download it again"
        ) from error


def _holds_tokenizer(folder: Path) -> bool:
    """Without either, CLIPTokenizer makes up a vocabulary of two."""
    return (folder / "tokenizer.json").is_file() or (folder / "vocab.json").is_file()


def _from_merges(file: Path) -> Any:
    """OpenAI's file: a line that says what it is, then one merge a line; the first 48,894 make the vocabulary."""
    from transformers import CLIPTokenizer

    with gzip.open(file) as opened:
        text = opened.read(_BPE_BYTES + 1)
    if len(text) > _BPE_BYTES:
        raise ValueError(f"unpacks to more than {_BPE_BYTES >> 20} MB")
    pieces = _byte_characters()
    pieces += [piece + "</w>" for piece in pieces]
    lines = text.decode().split("\n")[1 : _BPE_VOCABULARY - len(pieces) - 1]
    merges = [tuple(line.split()) for line in lines]
    tokens = [*pieces, *("".join(merge) for merge in merges), "<|startoftext|>", "<|endoftext|>"]
    if len(set(tokens)) != _BPE_VOCABULARY or any(len(merge) != 2 for merge in merges):
        raise ValueError("is not OpenAI's list of merges")
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)


def _byte_characters() -> list[str]:
    """A visible character for each byte, in the order of GPT-2's byte-pair encoding."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return [chr(byte) for byte in visible] + [chr(256 + i) for i in range(len(hidden))]
