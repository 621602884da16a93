"""A model folder for the command line, made once: a tiny pipeline with a CLIP of another text tower in clip/."""

import pytest

from tests.tiny import save_tiny_clip, tiny_pipeline


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_pipeline().save_pretrained(folder)
    save_tiny_clip(folder / "clip", seed=5)
    return folder
