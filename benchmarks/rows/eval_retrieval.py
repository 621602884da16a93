"""Recall at 1, 5 and 10 of 5,000 pictures and 5,000 captions by their features of 512 numbers, both ways. Peer: CLIP_benchmark's
`zeroshot_retrieval`, which holds all similarities and a one-hot of the nearest. What both find is compared first. A second row has the
memory that 20,000 of each take on top of their features, beside a limit of 256 MB (CLIP_benchmark's similarities alone have 1,600). The limit counts one product for both ways; here each way makes its own, a block at a time."""

import resource
from collections.abc import Iterator
from types import SimpleNamespace

import torch

from benchmarks.race import Products, Row, race, row_of
from benchmarks.shapes import let_apart_in

COUNT, DIM, KS = 5_000, 512, [1, 5, 10]
LARGE, LIMIT_MB, TARGET = 20_000, 256.0, 10.0


def features(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Captions, and pictures near them: about half are the nearest."""
    torch.manual_seed(0)
    captions = torch.nn.functional.normalize(torch.randn(count, DIM), dim=-1)
    pictures = captions + 0.25 * torch.randn(count, DIM)
    return captions, torch.nn.functional.normalize(pictures, dim=-1)


def rows(device: torch.device) -> Iterator[Row]:
    """Two: pairs a second, and megabytes."""
    import transformers  # noqa: F401 before what is apart

    from clipcond.evaluation.retrieval import recall

    yield _memory()
    declared = let_apart_in()
    from clip_benchmark.metrics import zeroshot_retrieval

    captions, pictures = (each.to(device) for each in features(COUNT))
    pairs = torch.arange(COUNT).repeat(2, 1).T
    lots = [range(start, min(start + 64, COUNT)) for start in range(0, COUNT, 64)]
    loader = [(pictures[lot.start : lot.stop], [[str(i)] for i in lot]) for lot in lots]
    model = SimpleNamespace(encode_image=lambda x: x, encode_text=lambda x: x)
    zeroshot_retrieval.tqdm = lambda each: each

    def theirs() -> dict[str, float]:
        return zeroshot_retrieval.evaluate(
            model,
            loader,
            lambda texts: captions[[int(t) for t in texts]],
            device.type,
            amp=False,
            recall_k_list=KS,
        )

    own, found = recall(pictures, captions, pairs), theirs()
    for k in KS:
        for ours, name in ((own.text_to_image, "image"), (own.image_to_text, "text")):
            if abs(ours[k] - found[f"{name}_retrieval_recall@{k}"]) > 1e-3:
                raise SystemExit(f"eval_retrieval: {name} recall@{k} differs: {own} and {found}")
    yield race(
        "eval_retrieval/5,000 x 5,000/CLIP_benchmark",
        lambda: recall(pictures, captions, pairs),
        theirs,
        count=COUNT,
        unit="pairs/s",
        device=device,
        target=TARGET,
        products=Products(2.0 * COUNT * COUNT * DIM, (512, DIM, COUNT)),
        rounds=3,
    )
    del declared


def _memory() -> Row:
    """What 20,000 of each take beside their features; first, since a process's peak never falls."""
    from clipcond.evaluation.retrieval import recall

    captions, pictures = features(LARGE)
    before = _peak_mb()
    recall(pictures, captions, torch.arange(LARGE).repeat(2, 1).T)
    return row_of(
        "eval_retrieval/20,000 x 20,000, memory/limit",
        [(max(1.0, _peak_mb() - before), LIMIT_MB)],
        unit="MB",
        target=1.0,
        less=True,
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
