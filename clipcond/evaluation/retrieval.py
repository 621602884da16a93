"""Retrieval: how often a caption finds its picture among all, and a picture one of its captions (recall at k).

A picture may have several captions and a caption several pictures, as COCO and Flickr30k have; one right answer among the
nearest k is enough. Similarities are computed a block at a time, so that memory holds the features and little more.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from PIL import Image
from tqdm.auto import tqdm

from clipcond.bulk import batched
from clipcond.clip import load_picture
from clipcond.clip.training.recall import shares, wrong_before
from clipcond.errors import ClipcondError, ScoreError
from clipcond.score import ClipScorer, of_each_that_can
from clipcond.tables import Column, read_rows

KS = (1, 5, 10)
_AT_ONCE = 1 << 21  # similarities: 8 MB, and some times as much for what is asked of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalls:
    """Shares between 0 and 1.

    Attributes:
        pictures: that were compared.
        captions: distinct ones that were compared.
        text_to_image: of each k, the share of captions with one of their pictures among the nearest k.
        image_to_text: of each k, the share of pictures with one of their captions among the nearest k.
        failures: what is wrong with pictures that were left out.
        provenance: how features were made.
    """

    pictures: int
    captions: int
    text_to_image: dict[int, float]
    image_to_text: dict[int, float]
    failures: tuple[str, ...] = ()
    provenance: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def recall(
    pictures: Float[torch.Tensor, "n dim"],
    captions: Float[torch.Tensor, "m dim"],
    pairs: Int64[torch.Tensor, "pairs 2"],
    ks: Sequence[int] = KS,
) -> Recalls:
    """Recall both ways of unit features.

    Args:
        pictures: a row a picture.
        captions: a row a caption.
        pairs: (picture, caption) that belong together; every one is in one or more. A tie counts against.
        ks: how many nearest are looked at.

    Raises:
        ClipcondError: a picture or caption without a partner.
    """
    for side, count in enumerate((len(pictures), len(captions))):
        lonely = set(range(count)) - set(pairs[:, side].tolist())
        if lonely:
            what = ("picture", "caption")[side]
            raise ClipcondError(f"pairs: {what} {min(lonely)} has none; leave it out")
    return Recalls(
        pictures=len(pictures),
        captions=len(captions),
        text_to_image=_shares(captions, pictures, pairs.flip(1), ks),
        image_to_text=_shares(pictures, captions, pairs, ks),
    )


def _shares(
    queries: torch.Tensor, answers: torch.Tensor, right: torch.Tensor, ks: Sequence[int]
) -> dict[int, float]:
    block = max(1, _AT_ONCE // len(answers))
    return shares(wrong_before(queries, answers, right, block=block), ks)


def recall_of_table(
    scorer: ClipScorer, table: Path, *, file_column: str = "file", prompt_column: str = "prompt"
) -> Recalls:
    """Recall of the pictures and captions of a table, a pair a row; files are relative to it.

    Raises:
        ClipcondError: it cannot be read, or none of its pictures.
    """
    columns = [Column(file_column, "--file-column"), Column(prompt_column, "--prompt-column")]
    places: dict[str, int] = {}
    texts: dict[str, int] = {}
    pairs = [
        (places.setdefault(file, len(places)), texts.setdefault(text, len(texts)))
        for file, text in read_rows(table, columns)
    ]
    failures: list[str] = []
    rows, features = _features(scorer, [table.parent / file for file in places], failures)
    if not rows:
        raise ClipcondError(
            f"{table}: none of its {len(places)} pictures could be read ({failures[0]})"
        )
    row_of = {place: row for row, place in enumerate(rows)}
    kept = [(row_of[place], text) for place, text in pairs if place in row_of]
    used = {text: number for number, text in enumerate(dict.fromkeys(text for _, text in kept))}
    listed = list(texts)
    captions = torch.cat(
        [scorer.text_features([listed[t] for t in some]).features for some in batched(used, 1024)]
    )
    found = recall(features, captions, torch.tensor([(row, used[text]) for row, text in kept]))
    values = {**found.as_dict(), "failures": tuple(failures), "provenance": scorer.provenance}
    return Recalls(**values)


def _features(
    scorer: ClipScorer, files: Sequence[Path], failures: list[str]
) -> tuple[list[int], torch.Tensor]:
    """(places of the files that have features, those)."""
    rows: list[int] = []
    parts: list[torch.Tensor] = [torch.zeros(0, scorer.clip.architecture.dim)]
    for batch in batched(enumerate(tqdm(files, unit=" pictures", disable=None)), scorer.batch_size):
        read: dict[int, Image.Image] = {}
        for place, file in batch:
            try:
                read[place] = load_picture(file)
            except ScoreError as error:
                failures.append(str(error))
        done, wrong = of_each_that_can(read, lambda b: scorer.image_features(list(b.values())))
        failures += [f"{files[place]}: {reason}" for place, reason in wrong.items()]
        if done:
            rows += done[0]
            parts.append(done[1])
    return rows, torch.cat(parts)
