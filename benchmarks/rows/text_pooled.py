"""Features of captions for scoring, as long as PartiPrompts' and GenEval's are (256 of each), through a text tower of ViT-B/32's width with four
layers. Peers: transformers with every caption padded to 77 tokens, as open_clip and clip-retrieval do it too, and padded to the longest of
its batch of 32, as torchmetrics does it. Here captions of a length go together. Features are compared first. The limit counts the
captions' own tokens."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.prompts import lengths, prompts
from benchmarks.race import Products, Row, check_equal, race, text_products
from benchmarks.shapes import clip_folder, tokenizer

COUNT, AT_ONCE, LAYERS = 256, 32, 4
TARGETS = {
    ("PartiPrompts", "77"): 5.0,
    ("PartiPrompts", "longest"): 2.5,
    ("GenEval", "77"): 6.5,
    ("GenEval", "longest"): None,
}


def rows(device: torch.device) -> Iterator[Row]:
    """Four: captions a second."""
    from clipcond import ClipScorer

    with tempfile.TemporaryDirectory() as folder:
        scorer = ClipScorer.from_pretrained(clip_folder(Path(folder), layers=LAYERS), device=device)
    model = scorer.clip.model
    for (name, padding), target in TARGETS.items():
        own = [min(n, 77) for n in lengths(name)][:COUNT]
        asked = prompts(tokenizer(), own)

        def ours(asked: list[str] = asked) -> torch.Tensor:
            scorer.forget()
            return scorer.text_features(asked).features

        def theirs(asked: list[str] = asked, padding: str = padding) -> torch.Tensor:
            parts = []
            for start in range(0, len(asked), AT_ONCE):
                read = tokenizer()(
                    asked[start : start + AT_ONCE],
                    padding="max_length" if padding == "77" else "longest",
                    max_length=77,
                    truncation=True,
                    return_tensors="pt",
                ).to(device)
                found = model.get_text_features(**read).pooler_output
                parts.append(torch.nn.functional.normalize(found, dim=-1))
            return torch.cat(parts)

        check_equal(ours(), theirs().cpu(), f"text_pooled, {name}", at_most=2e-5)
        parts = [text_products(model.config.text_config, own.count(n), n) for n in set(own)]
        whole = Products(sum(each.flops for each in parts), (AT_ONCE * 12, *parts[0].shape[1:]))
        yield race(
            f"text_pooled/{name}/transformers, padded to {padding}",
            ours,
            theirs,
            count=COUNT,
            unit="captions/s",
            device=device,
            target=target,
            products=whole,
        )
