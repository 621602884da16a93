"""Stage 1: a byte-level BPE in CLIP's own format, from the captions of the emoji world.

python -m weights.lab.train.tokenizer --run runs/small
"""

import json
from pathlib import Path

import numpy as np
from transformers import CLIPTokenizer

from clipcond.clip.training.vocabulary import learn
from clipcond.emoji.captions import FILLERS, SYNONYMS, caption, describe, plural
from clipcond.emoji.scenes import sample
from clipcond.emoji.world import PRESETS, SHAPES
from weights.lab.train import common

VOCAB_SIZE = 2048
POSITIONS = 77


def corpus(preset: str, count: int) -> list[str]:
    """Captions of a preset, and every word of its world."""
    world = PRESETS[preset]
    nouns, others = (*world.nouns, *SHAPES), (*world.colors, *world.backgrounds)
    words = [word for name in (*nouns, *others) for word in SYNONYMS.get(name, (name,))]
    words += [plural(word) for noun in nouns for word in SYNONYMS.get(noun, (noun,))]
    texts = [caption(sample(seed, preset), seed) for seed in range(count)]
    if "several" in world.kinds:
        texts += [
            describe(sample(seed, preset), np.random.default_rng(seed), fillers=len(FILLERS))
            for seed in range(count // 10)
        ]
    return texts + words * 20


def train(preset: str, count: int = 20_000) -> CLIPTokenizer:
    """Learn the vocabulary."""
    return learn(corpus(preset, count), VOCAB_SIZE)


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
