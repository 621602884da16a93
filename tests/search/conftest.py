"""A folder of pictures of the emoji world and an index of it, made once; a copy of both for tests that change them."""

import shutil

import pytest

from clipcond import ClipScorer, emoji
from clipcond.search import Index

COUNT = 160


@pytest.fixture(scope="session")
def scorer():
    return ClipScorer.from_pretrained("judge")


@pytest.fixture(scope="session")
def captions():
    return {f"{n}.png": emoji.caption(emoji.sample(n), n) for n in range(COUNT)}


@pytest.fixture(scope="session")
def made(tmp_path_factory, scorer):
    """(folder of pictures, folder of the index)."""
    folder = tmp_path_factory.mktemp("search")
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(COUNT):
        emoji.render(emoji.sample(number), 32).save(pictures / f"{number}.png")
    Index.open(folder / "db", "judge").add([pictures])
    return pictures, folder / "db"


@pytest.fixture
def copied(made, tmp_path, scorer):
    """(folder of pictures, index) to change."""
    pictures = shutil.copytree(made[0], tmp_path / "pictures")
    index = Index.open(tmp_path / "db", scorer)
    index.add([pictures])
    return pictures, index
