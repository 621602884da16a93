"""Picture files one by one: those that fail are named, the rest go on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from clipcond.clip.images import picture_at_hand
from clipcond.clip.preprocess import Picture
from clipcond.errors import ScoreError
from clipcond.score import ClipScorer


def load_each(
    files: Sequence[Path], failures: list[str], scorer: ClipScorer
) -> Iterator[tuple[Path, Picture]]:
    """(file, picture) of each that can be read, with a bar; what is wrong with the others goes to `failures`."""
    fast = scorer.clip.preprocessing.resizing == "fast"
    for file in tqdm(files, unit="picture", disable=None, leave=False):
        try:
            yield file, picture_at_hand(file, fast=fast)
        except ScoreError as error:
            failures.append(str(error))


def in_batches(loaded: Iterator[tuple[Path, Picture]], size: int) -> Iterator[dict[Path, Picture]]:
    """At most `size` at a time; a file named twice comes twice in different batches."""
    batch: dict[Path, Picture] = {}
    for file, picture in loaded:
        if file in batch or len(batch) == size:
            yield batch
            batch = {}
        batch[file] = picture
    if batch:
        yield batch
