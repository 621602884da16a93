"""The Search tab's work: the nearest first, once looked at, and no file of this machine."""

import numpy as np
import pytest

from clipcond import emoji
from clipcond.errors import ClipcondError
from demos import searching


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("upload")
    for number in range(12):
        emoji.render(emoji.sample(number), 32).save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(12)]


def test_the_nearest_come_first_and_pictures_are_looked_at_once(studio, files, monkeypatch):
    caption = emoji.caption(emoji.sample(7), 7)
    found = searching.search(studio.scorer, files, caption, None)
    assert found.order[0] == 7
    assert np.all(np.diff(found.cosine[found.order]) <= 0)
    monkeypatch.setattr(studio.scorer, "image_features", None)  # not again
    other = searching.search(studio.scorer, files, "a fox - 7.png", found)
    assert other.order != found.order
    like = searching.again(studio.scorer, found, searching.name_at(found, 0))
    assert like.order[0] == 7
    assert like.cosine[7] == pytest.approx(1, abs=1e-5)
    page = searching.cards(like)
    assert page.count("data-rank=") == 12
    assert "7.png, cosine 1.000: more like this" in page


def test_no_file_of_this_machine_is_read(studio, files, tmp_path):
    secret = tmp_path / "secret.png"
    emoji.render(emoji.sample(7), 32).save(secret)
    found = searching.search(studio.scorer, files, str(secret), None)
    assert found.cosine.max() < 0.95  # its path is but a text


def test_bad_asking_is_said(studio, files):
    with pytest.raises(ClipcondError, match="query: nothing typed yet"):
        searching.search(studio.scorer, files, " ", None)
    with pytest.raises(ClipcondError, match="none uploaded yet"):
        searching.search(studio.scorer, [], "a fox", None)
    found = searching.search(studio.scorer, files, "a fox", None)
    with pytest.raises(ClipcondError, match="picture: got 99"):
        searching.name_at(found, 99)
