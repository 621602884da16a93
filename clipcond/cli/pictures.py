"""Picture files one by one: those that fail are named, the rest go on."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image
from tqdm import tqdm

from clipcond.clip import load_picture
from clipcond.errors import ScoreError
from clipcond.score import PictureError

Item = TypeVar("Item")
Result = TypeVar("Result")


def load_each(files: Sequence[Path], failures: list[str]) -> Iterator[tuple[Path, Image.Image]]:
    """(file, picture) of each that can be read, with a bar; what is wrong with the others goes to `failures`."""
    for file in tqdm(files, unit="picture", disable=None, leave=False):
        try:
            yield file, load_picture(file)
        except ScoreError as error:
            failures.append(str(error))


def in_batches(
    loaded: Iterator[tuple[Path, Image.Image]], size: int
) -> Iterator[dict[Path, Image.Image]]:
    """At most `size` at a time; a file named twice comes twice in different batches."""
    batch: dict[Path, Image.Image] = {}
    for file, picture in loaded:
        if file in batch or len(batch) == size:
            yield batch
            batch = {}
        batch[file] = picture
    if batch:
        yield batch


def of_each_that_can(
    items: Sequence[Item],
    pictures: Sequence[Image.Image],
    work: Callable[[Sequence[Item], list[Image.Image]], Result],
    failures: list[str],
    *,
    name: Callable[[Item], object] = str,
) -> tuple[list[Item], Result] | None:
    """(items, what became of them), without those whose picture has no features, which go to `failures`.

    Args:
        items: one a picture.
        pictures: theirs, in their order.
        work: of some of the items and their pictures.
        failures: what is wrong with a picture, once.
        name: of an item's picture, for messages.

    Returns:
        None where nothing is left.
    """
    left = list(zip(items, pictures, strict=True))
    while left:
        kept = [item for item, _ in left]
        try:
            return kept, work(kept, [picture for _, picture in left])
        except PictureError as error:
            reasons = [f"{name(kept[i])}: {reason}" for i, reason in error.reasons.items()]
            failures += dict.fromkeys(reasons)
            left = [pair for i, pair in enumerate(left) if i not in error.reasons]
    return None
