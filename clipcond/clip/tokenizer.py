"""Finding the tokenizer of a checkpoint that may not carry one.

OpenAI's and OpenCLIP's files hold no vocabulary: their packages do, as bpe_simple_vocab_16e6.txt.gz. The same file becomes a
CLIPTokenizer here; how texts are read with it is `reading`'s business. A folder's own tokenizer is loaded as what it is:
transformers' CLIPTokenizer would read any tokenizer.json as CLIP's byte pairs and split all of Korean into unknown tokens.
"""

import gzip
import importlib.util
from pathlib import Path
from typing import Any

from clipcond.clip.reading import byte_characters
from clipcond.errors import CheckpointError
from clipcond.files import download, first_line, is_hub_id, read_json

BPE_FILE = "bpe_simple_vocab_16e6.txt.gz"
_BPE_VOCABULARY = 49408
_BPE_BYTES = 16 << 20  # unpacked; it has 3.2 MB
_PACKAGES = ("open_clip", "clip")  # open_clip_torch's and openai/CLIP's
_HUB_FILES = (
    "tokenizer*", "vocab.json", "vocab.txt", "merges.txt", "special_tokens_map.json", "config.json", "*.model",
)  # fmt: skip
# that only a tokenizer_config.json tells the meaning of
_OTHER_FILES = ("vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")


def find_tokenizer(
    given: Any, root: Path, vocabulary: int, *, bundled: bool, called: str | None = None
) -> Any:
    """The tokenizer of a checkpoint: a CLIPTokenizer, or in a transformers folder whichever is there.

    Args:
        given: a tokenizer, a folder, hub id or vocabulary file of one, or None to look for it.
        root: the checkpoint's folder.
        vocabulary: how many tokens the text tower knows.
        bundled: whether the layout has its tokenizer in the folder, as transformers' has.
        called: the hub id of the one that the checkpoint names; None for CLIP's own vocabulary.

    Raises:
        CheckpointError: none found, unreadable, or of another model.
    """
    if given is None:
        tokenizer, source = _look_for(root, vocabulary, bundled=bundled, called=called)
    elif isinstance(given, str | Path):
        place = download(str(given), _HUB_FILES) if is_hub_id(given) else Path(given)
        tokenizer, source = _read(place), str(given)
    else:
        tokenizer, source = given, f"tokenizer: {type(given).__name__}"
    ends = ("eos_token_id", "sep_token_id") if bundled else ("eos_token_id",)
    if not callable(tokenizer) or all(getattr(tokenizer, name, None) is None for name in ends):
        raise CheckpointError(
            f"{source}: no CLIP tokenizer, since it has no end-of-text token; pass a CLIPTokenizer, or its folder"
        )
    if len(tokenizer) > vocabulary:
        raise CheckpointError(
            f"{source}: has {len(tokenizer)} tokens but the text tower knows {vocabulary}; "
            "the two are of different models"
        )
    return tokenizer


def _look_for(root: Path, vocabulary: int, *, bundled: bool, called: str | None) -> tuple[Any, str]:
    if _holds_tokenizer(root):
        return _read(root), str(root / "tokenizer.json")
    if bundled:
        raise CheckpointError(
            f"{root / 'tokenizer.json'}: missing, as is vocab.json; save the tokenizer into the folder too"
        )
    if called is not None:
        raise CheckpointError(
            f"{root}: open_clip_config.json names the tokenizer {called}, which is not in the folder; pass tokenizer={called!r}"
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
    if not place.exists():
        raise CheckpointError(f"{place}: no such tokenizer file or folder; check the path")
    merges = place.name.endswith(".txt.gz")
    folder = place if place.is_dir() else place.parent
    if not merges and not _holds_tokenizer(folder):
        raise CheckpointError(
            f"{folder / 'tokenizer.json'}: missing, as is vocab.json; name a folder that a tokenizer was saved into"
        )
    try:
        return _from_merges(place) if merges else _from_folder(folder)
    # the Rust tokenizers raise bare Exception for a damaged file
    except Exception as error:
        file = place if place.is_file() else folder / "tokenizer.json"
        pieces = not merges and _needs_sentencepiece(folder)
        raise CheckpointError(
            f"{next(folder.glob('*.model'))}: reading it needs sentencepiece and protobuf; pip install them"
            if pieces
            else f"{file}: unreadable tokenizer ({first_line(error)}); copy or download it again"
        ) from error


def _from_folder(folder: Path) -> Any:
    """The class that the folder names, unless that is CLIP's and the vocabulary is not."""
    from transformers import AutoTokenizer, CLIPTokenizer, PreTrainedTokenizerFast

    named = _class_named(folder)
    if _is_clips(folder) and named in (None, "CLIPTokenizer"):
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    if (folder / "tokenizer.json").is_file() and named in (None, "CLIPTokenizer"):
        return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    if named in (None, "CLIPTokenizer"):
        raise ValueError(
            "marks no end of a word, so it is no vocabulary of CLIP's, and names no other class"
        )
    # False, not None, which would ask the user at the terminal
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def _class_named(folder: Path) -> str | None:
    file = folder / "tokenizer_config.json"
    named = read_json(file).get("tokenizer_class") if file.is_file() else None
    return named.removesuffix("Fast") if isinstance(named, str) else None


def _is_clips(folder: Path) -> bool:
    """Whether the vocabulary is byte pairs that mark the end of a word, which only CLIP's kind does."""
    file = folder / "tokenizer.json"
    if file.is_file():
        model = read_json(file).get("model", {})
        return bool(model.get("type", "BPE") == "BPE" and model.get("end_of_word_suffix") == "</w>")
    file = folder / "vocab.json"
    return file.is_file() and any(token.endswith("</w>") for token in read_json(file))


def _needs_sentencepiece(folder: Path) -> bool:
    return (
        not (folder / "tokenizer.json").is_file()
        and any(folder.glob("*.model"))
        and importlib.util.find_spec("sentencepiece") is None
    )


def _holds_tokenizer(folder: Path) -> bool:
    """Without one, transformers makes up a vocabulary of two."""
    if any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        return True
    told = (folder / "tokenizer_config.json").is_file()
    return told and any((folder / name).is_file() for name in _OTHER_FILES)


def _from_merges(file: Path) -> Any:
    """OpenAI's file: a line that says what it is, then one merge a line; the first 48,894 make the vocabulary."""
    from transformers import CLIPTokenizer

    with gzip.open(file) as opened:
        text = opened.read(_BPE_BYTES + 1)
    if len(text) > _BPE_BYTES:
        raise ValueError(f"unpacks to more than {_BPE_BYTES >> 20} MB")
    pieces = byte_characters()
    pieces += [piece + "</w>" for piece in pieces]
    lines = text.decode().split("\n")[1 : _BPE_VOCABULARY - len(pieces) - 1]
    merges: list[Any] = [tuple(line.split()) for line in lines]
    tokens = [*pieces, *("".join(merge) for merge in merges), "<|startoftext|>", "<|endoftext|>"]
    if len(set(tokens)) != _BPE_VOCABULARY or any(len(merge) != 2 for merge in merges):
        raise ValueError("is not OpenAI's list of merges")
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)
