"""Pictures with captions, and a tiny CLIP to begin with."""

import pytest
from PIL import Image

from tests.tiny import save_tiny_clip

COLORS = ("red", "green", "blue", "white", "black", "gray", "yellow", "pink")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of 24 pictures in eight colours, two captions each."""
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(24):
        color = COLORS[i % len(COLORS)]
        Image.new("RGB", (40 + i % 3, 40), color).save(folder / f"{i:02d}.png")
        (folder / f"{i:02d}.txt").write_text(f"a {color} cat\na {color} dog\n")
    return folder


@pytest.fixture(scope="session")
def beginning(tmp_path_factory):
    """A CLIP folder with random weights."""
    return save_tiny_clip(tmp_path_factory.mktemp("beginning") / "clip")
