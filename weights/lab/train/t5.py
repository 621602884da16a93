"""A small T5 that reads captions without ever seeing a picture: span corruption on captions and plain text.

    python -m weights.lab.train.t5 --preset medium --minutes 30 --run runs/medium

Raffel et al. 2020, section 3.1.4: spans of three tokens on average, 15 % of a text, are each replaced by a sentinel, and a
decoder has to say what stood there. Half of the texts are captions of training scenes, half are docstrings of Python's
standard library and the pages of docs/. Only the encoder is kept; `weights.lab.measure.t5` asks what it is worth to a denoiser.
"""

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
)

from clipcond.emoji.captions import FILLERS, caption, describe
from clipcond.emoji.scenes import Scene
from weights.lab.reports import ROOT
from weights.lab.train import common
from weights.lab.train.data import scenes

BATCH, LENGTH, RATE = 64, 64, 2e-3
WIDTH, LAYERS, HEADS = 128, 4, 4  # the CLIP text tower's own
NOISE, SPAN = 0.15, 3.0
VOCABULARY, SENTINELS = 4096, 32
DESCRIBED = 0.25
_STREAM = 5000
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"


def plain_texts() -> list[str]:
    """Paragraphs of the standard library's docstrings and of docs/, each of some words."""
    texts = [page.read_text() for page in sorted((ROOT / "docs").glob("*.md"))]
    library = Path(sysconfig.get_paths()["stdlib"])
    for file in sorted(library.rglob("*.py")):
        if not {"test", "tests", "site-packages", "idlelib", "lib2to3"} & set(file.parts):
            texts += _docstrings(file)
    paragraphs = (" ".join(part.split()) for text in texts for part in text.split("\n\n"))
    return [paragraph for paragraph in paragraphs if len(paragraph.split()) >= 8]


def _docstrings(file: Path) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):  # some files of the library are samples of such
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            yield str(ast.get_docstring(node))


def words_of(scene: Scene, rng: np.random.Generator) -> str:
    """A caption of a scene, now and then in sentences."""
    if rng.random() < DESCRIBED:
        return describe(scene, rng, fillers=int(rng.integers(len(FILLERS))))
    return caption(scene, int(rng.integers(1 << 31)))


def learn_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A unigram vocabulary in T5's form: lower case, an end, and sentinels `<extra_id_0>` ... behind all else."""
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END, UNKNOWN],
        unk_token=UNKNOWN,
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    backend.add_special_tokens([f"<extra_id_{i}>" for i in range(SENTINELS)])
    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, backend.token_to_id(END))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=PAD, eos_token=END, unk_token=UNKNOWN
    )


def _parts(total: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`total` as the sum of `count` random numbers of at least 1."""
    borders = np.sort(rng.choice(total - 1, count - 1, replace=False)) + 1
    return np.diff([0, *borders, total])


def corrupt(
    ids: list[int], sentinels: list[int], rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """A text with spans replaced by sentinels, and what stood there behind the same sentinels.

    Args:
        ids: at least two tokens, without the end.
        sentinels: ids of `<extra_id_0>`, ...
        rng: chooses the spans; the text begins with a token that stays.
    """
    hidden = min(len(ids) - 1, max(1, round(NOISE * len(ids))))
    spans = min(hidden, len(ids) - hidden, max(1, round(hidden / SPAN)), len(sentinels))
    kept, taken = _parts(len(ids) - hidden, spans, rng), _parts(hidden, spans, rng)
    seen: list[int] = []
    asked: list[int] = []
    at = 0
    for i, (keep, take) in enumerate(zip(kept, taken, strict=True)):
        seen += [*ids[at : at + keep], sentinels[i]]
        asked += [sentinels[i], *ids[at + keep : at + keep + take]]
        at += keep + take
    return seen, asked


def batches(
    preset: str, tokenizer: PreTrainedTokenizerFast, plain: list[str], seed: int
) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches for T5ForConditionalGeneration, half captions, half plain text."""
    rng = np.random.default_rng((_STREAM, seed))
    stream = scenes(preset, _STREAM + seed)
    sentinels = [tokenizer.convert_tokens_to_ids(f"<extra_id_{i}>") for i in range(SENTINELS)]
    end = tokenizer.eos_token_id
    while True:
        texts = [words_of(next(stream), rng) for _ in range(BATCH // 2)]
        texts += [plain[i] for i in rng.integers(len(plain), size=BATCH - len(texts))]
        rows = tokenizer(texts, add_special_tokens=False).input_ids
        both = [corrupt(row[:LENGTH], sentinels, rng) for row in rows]
        seen, asked = (_stacked([[*row, end] for row in part]) for part in zip(*both, strict=True))
        yield {
            "input_ids": seen.clamp(min=0),
            "attention_mask": (seen >= 0).long(),
            "labels": asked,
        }


def _stacked(rows: list[list[int]]) -> torch.Tensor:
    """Rows as one tensor, filled up with -100, which the loss leaves out."""
    longest = max(map(len, rows))
    return torch.tensor([row + [-100] * (longest - len(row)) for row in rows])


def build(vocabulary: int) -> T5ForConditionalGeneration:
    """An untrained one, with an encoder of the CLIP text tower's size."""
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=vocabulary,
            d_model=WIDTH,
            d_kv=WIDTH // HEADS,
            d_ff=4 * WIDTH,
            num_layers=LAYERS,
            num_decoder_layers=2,
            num_heads=HEADS,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            decoder_start_token_id=0,
        )
    )


def train(args: Any, model: T5ForConditionalGeneration, stream: Iterator[Any]) -> None:
    """Train until the clock runs out."""
    device = torch.device(args.device)
    model.to(device).train()
    optimizer = torch.optim.AdamW(common.decay_groups(model, 0.01), betas=(0.9, 0.98), fused=True)
    stage = common.Stage("t5", args, optimizer, model=model)
    while stage.going(args.rate or RATE):
        optimizer.zero_grad()
        batch = {name: part.to(device) for name, part in next(stream).items()}
        with common.autocast(device):
            loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        stage.stepped(loss, BATCH)


def main() -> None:
    """Train and save the encoder and its tokenizer to `RUN/t5`."""
    args = common.parse(common.options(__doc__, minutes=30))
    args.run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    plain, stream = plain_texts(), scenes(args.preset, _STREAM)
    rng = np.random.default_rng(_STREAM)
    captions = [words_of(next(stream), rng) for _ in range(20_000)]
    tokenizer = learn_tokenizer(sorted({*plain, *captions}))
    model = build(len(tokenizer))
    train(args, model, batches(args.preset, tokenizer, plain, args.seed))
    encoder = T5EncoderModel(model.config)
    encoder.load_state_dict(model.state_dict(), strict=False)
    encoder.half().save_pretrained(args.run / "t5")
    tokenizer.save_pretrained(args.run / "t5")


if __name__ == "__main__":
    main()
