"""Pictures from the atlas."""

import numpy as np
import pytest

from clipcond import emoji
from clipcond.emoji.render import sprite
from clipcond.emoji.world import BACKGROUNDS, SPRITES


def test_every_sprite_of_the_atlas_is_there_and_differs_from_all_others() -> None:
    drawn = [
        np.concatenate([c, 255 * a], axis=-1).ravel()
        for c, a in (sprite(name, 16) for name in SPRITES)
    ]
    distances = np.linalg.norm(np.stack(drawn)[:, None] - np.stack(drawn)[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert distances.min() > 300
    assert all(a.max() > 0.9 for _, a in (sprite(name, 16) for name in SPRITES))


@pytest.mark.parametrize("size", [32, 64, 100])
def test_a_picture_has_its_size_and_background(size: int) -> None:
    scene = emoji.Scene("mint", (emoji.Item("rocket", 8, 8, 12),))
    picture = emoji.render(scene, size)
    assert picture.size == (size, size)
    assert picture.getpixel((0, 0)) == BACKGROUNDS["mint"]


def test_a_square_covers_its_box() -> None:
    scene = emoji.Scene((10, 20, 30), (emoji.Item("red square", 4, 6, 10),))
    picture = emoji.render_array(scene).astype(int)
    changed = (picture != (10, 20, 30)).any(-1)
    assert changed[6:16, 4:14].all()
    assert changed.sum() == 100


@pytest.mark.parametrize("size", range(27, 40))
def test_any_size_can_be_drawn(size: int) -> None:
    corners = tuple(emoji.Item("fox", x, y, 16) for x in (0, 16) for y in (0, 16))
    assert emoji.render_array(emoji.Scene("white", corners), size).shape == (size, size, 3)
