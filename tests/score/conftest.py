"""The CLIPs that scores are tested on: a tiny one, and the one that is shipped."""

import pytest

from clipcond.resources import model_folder
from clipcond.score import ClipScorer
from tests.tiny import save_tiny_clip


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


@pytest.fixture(scope="session")
def scorer(folder):
    return ClipScorer.from_pretrained(folder)


@pytest.fixture(scope="session")
def shipped():
    return ClipScorer.from_pretrained(model_folder("emoji"))
