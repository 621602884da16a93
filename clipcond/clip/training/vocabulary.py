"""A vocabulary in CLIP's own form: learnt from the captions of a small world, or OpenAI's."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from clipcond.clip.tokenizer import find_tokenizer
from clipcond.clip.training.presets import CLIPS_OWN
from clipcond.errors import ClipcondError

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
_CONTEXT = 77
_BARE = 2 * 256 + 2  # each byte within and at the end of a word, and the two special tokens


def learn(captions: Iterable[str], size: int) -> Any:
    """A CLIPTokenizer of at most that many tokens: byte pairs that are merged by how often they stand in the captions.

    The same captions in any order give the same vocabulary. A pair is merged if it is there twice; the special tokens come last, so
    that the end of a text has the highest id, as in CLIP.

    Raises:
        ClipcondError: a size that the bytes alone are over.
    """
    from transformers import CLIPTokenizer

    if size < _BARE:
        raise ClipcondError(
            f"vocabulary: got {size} tokens; bytes and special tokens are {_BARE} already"
        )
    reference = CLIPTokenizer(vocab={BOS: 0, EOS: 1}, merges=[])
    backend = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=None))
    backend.normalizer = reference.backend_tokenizer.normalizer
    backend.pre_tokenizer = reference.backend_tokenizer.pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
        min_frequency=2,
    )
    # sorted: ids of the ends of words, which decide ties, are given as they come
    backend.train_from_iterator(sorted(captions), trainer)
    found = json.loads(backend.to_str())["model"]["merges"][: size - _BARE]
    merges: list[Any] = [tuple(pair) for pair in found]
    tokens = [
        *alphabet,
        *(char + "</w>" for char in alphabet),
        *("".join(pair) for pair in merges),
        BOS,
        EOS,
    ]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=_CONTEXT, pad_token=EOS)


def clips_own(name: str) -> Any:
    """OpenAI's vocabulary, as an installed open_clip_torch or openai/CLIP carries it; `name` of the preset, for errors.

    Raises:
        CheckpointError: neither is installed; the message says what to pass instead.
    """
    return find_tokenizer(None, Path(name), CLIPS_OWN, bundled=False)
