"""Picture files one by one: those that fail are named, the rest go on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from clipcond.clip import load_picture
from clipcond.errors import ScoreError


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
