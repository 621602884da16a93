"""Stage 1: a byte-level BPE in CLIP's own format, from the captions of the emoji world.

python -m weights.lab.train.tokenizer --run runs/small
"""

import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from clipcond.emoji.captions import SYNONYMS, caption, plural
from clipcond.emoji.scenes import sample
from clipcond.emoji.world import PRESETS, SHAPES
from weights.lab.train import common

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
VOCAB_SIZE = 2048
POSITIONS = 77


def corpus(preset: str, count: int) -> list[str]:
    """Captions of a preset, and every word of its world."""
    world = PRESETS[preset]
    nouns, others = (*world.nouns, *SHAPES), (*world.colors, *world.backgrounds)
    words = [word for name in (*nouns, *others) for word in SYNONYMS.get(name, (name,))]
    words += [plural(word) for noun in nouns for word in SYNONYMS.get(noun, (noun,))]
    texts = [caption(sample(seed, preset), seed) for seed in range(count)]
    return texts + words * 20


def train(preset: str, count: int = 20_000) -> CLIPTokenizer:
    """Learn the merges; the special tokens come last, so that EOS is the highest id as in CLIP."""
    reference = CLIPTokenizer(vocab={BOS: 0, EOS: 1}, merges=[])
    backend = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=None))
    backend.normalizer = reference.backend_tokenizer.normalizer
    backend.pre_tokenizer = reference.backend_tokenizer.pre_tokenizer
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB_SIZE,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
        min_frequency=2,
    )
    backend.train_from_iterator(corpus(preset, count), trainer)
    merges = [tuple(pair) for pair in json.loads(backend.to_str())["model"]["merges"]]
    tokens = [
        *alphabet,
        *(char + "</w>" for char in alphabet),
        *("".join(pair) for pair in merges),
        BOS,
        EOS,
    ]
    vocab = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=POSITIONS, pad_token=EOS)


def main() -> None:
    """Train and save to `RUN/tokenizer`, or where it is told to."""
    parser = common.options(__doc__, minutes=0)
    parser.add_argument("--out", type=Path, help="instead of RUN/tokenizer")
    args = common.parse(parser)
    tokenizer = train(args.preset)
    tokenizer.save_pretrained(args.out or args.run / "tokenizer")
    print(
        json.dumps({"stage": "tokenizer", "entries": len(tokenizer), "eos": tokenizer.eos_token_id})
    )


if __name__ == "__main__":
    main()
