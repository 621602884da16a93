"""Tokenizers for the text encoders of a single file, which holds none."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipcond.clip.tokenizer import find_tokenizer
from clipcond.conditioning.family import Role
from clipcond.errors import CheckpointError, ClipcondError
from clipcond.files import download, first_line, is_hub_id

END = "<|endoftext|>"
_OPENAI, _OPENAI_VOCABULARY = "openai/clip-vit-large-patch14", 49408
_HUB_FILES = ("tokenizer*", "vocab.json", "merges.txt", "special_tokens_map.json", "spiece.model")
_T5_FILES = ("tokenizer.json", "spiece.model")


def find_tokenizers(
    given: Any, wanted: Mapping[Role, tuple[int, str]], file: Path
) -> dict[str, Any]:
    """A tokenizer for each text encoder, by the pipelines' names.

    Args:
        given: see `Conditioner.from_pretrained`.
        wanted: an encoder's role -> (how many tokens it knows, what it is padded with; of no meaning for a T5).
        file: the checkpoint.

    Raises:
        CheckpointError: one is not to be found, unreadable, or of another model.
        ClipcondError: one is given for an encoder that is not there.
    """
    if not isinstance(given, Mapping):
        given = {role.tokenizer: given for role in wanted if not role.is_t5}
    unknown = set(given) - {role.tokenizer for role in wanted}
    if unknown:
        raise ClipcondError(
            f"tokenizer: {', '.join(map(repr, sorted(map(str, unknown))))} has no text encoder in {file}; "
            f"there are {', '.join(role.tokenizer for role in wanted)}"
        )
    return {
        role.tokenizer: _t5_tokenizer(given.get(role.tokenizer), role, vocabulary, file)
        if role.is_t5
        else _clip_tokenizer(given.get(role.tokenizer), role, vocabulary, file, pad=pad)
        for role, (vocabulary, pad) in wanted.items()
    }


def _clip_tokenizer(given: Any, role: Role, vocabulary: int, file: Path, *, pad: str) -> Any:
    try:
        found = find_tokenizer(given, file.parent, vocabulary, bundled=False)
    except CheckpointError as nowhere:
        if given is not None or vocabulary != _OPENAI_VOCABULARY:
            raise
        try:
            found = find_tokenizer(_OPENAI, file.parent, vocabulary, bundled=False)
        except CheckpointError as unreachable:
            raise CheckpointError(f"{nowhere}; and {unreachable}") from None
    if found.pad_token == (found.eos_token if pad == END else pad):
        return found
    if found.pad_token != found.eos_token:
        raise CheckpointError(
            f"tokenizer: the one for {role.slot} pads with {found.pad_token!r}, but the encoder with {pad!r}; give each "
            f'its own: tokenizer={{"{role.tokenizer}": ..., ...}}'
        )
    padded = copy.deepcopy(found)  # the caller's stays as it is
    # not only named: the pipelines' own tokenizers read a typed "!" as padding, and so must these
    padded.add_special_tokens({"pad_token": pad})
    return padded


def _t5_tokenizer(given: Any, role: Role, vocabulary: int, file: Path) -> Any:
    from transformers import T5Tokenizer

    if given is None:
        raise CheckpointError(
            f"{file}: holds a T5 ({role.slot}) but no tokenizer for it; pass "
            f'tokenizer={{"{role.tokenizer}": ...}}, a folder or hub id such as google/t5-v1_1-xxl'
        )
    found = given
    if isinstance(given, str | Path):
        place = download(str(given), _HUB_FILES) if is_hub_id(given) else Path(given)
        if not any((place / name).is_file() for name in _T5_FILES):
            raise CheckpointError(
                f"{place}: no T5 tokenizer in it ({' or '.join(_T5_FILES)}); name a folder that one was saved into"
            )
        try:
            found = T5Tokenizer.from_pretrained(place, local_files_only=True)
        # the Rust tokenizers raise bare Exception for a damaged file
        except Exception as error:
            raise CheckpointError(
                f"{place}: unreadable T5 tokenizer ({first_line(error)}); copy or download it again"
            ) from error
    if not isinstance(found, T5Tokenizer):
        raise CheckpointError(
            f"tokenizer: {type(found).__name__} is no T5Tokenizer, which {role.slot} needs"
        )
    if len(found) > vocabulary:
        raise CheckpointError(
            f"tokenizer: has {len(found)} tokens but {role.slot} knows {vocabulary}; the two are of different models"
        )
    return found
