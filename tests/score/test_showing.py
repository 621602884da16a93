"""What a notebook shows of ranked pictures: each of them, its caption escaped, and nothing that fails."""

import base64
import re
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from clipcond.figures import figures
from clipcond.generation import Generation
from clipcond.score import rerank
from tests.score.test_ranking import FixedScorer


def pictures_of(html):
    data = re.findall(r'src="data:image/png;base64,([\w+/=]+)"', html)
    return [Image.open(BytesIO(base64.b64decode(each))) for each in data]


def plain(color, size=(40, 20)):
    return Image.new("RGB", size, color)


def test_pictures_are_those_of_the_ranking_best_first():
    html = rerank([plain("red"), plain("blue")], "a", FixedScorer([0.1, 0.9]))._repr_html_()
    assert [each.getpixel((0, 0)) for each in pictures_of(html)] == [(0, 0, 255), (255, 0, 0)]
    assert re.findall(r"<small>(.*?)</small>", html) == ["1. seed 1, 0.9000", "2. seed 0, 0.1000"]


def test_names_of_files_are_shown_and_escaped(tmp_path):
    path = tmp_path / "<script>&.png"
    plain("red").save(path)
    ranking = rerank([path], "a", FixedScorer([0.5]))
    for _ in range(2):  # with the file, and without it
        html = ranking._repr_html_()
        assert "1. &lt;script&gt;&amp;.png, seed 0, 0.5000" in html
        assert "<script" not in html
        (picture,) = pictures_of(html)
        path.unlink(missing_ok=True)
    assert picture.getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3), np.uint8), torch.zeros(3, 8, 8)])
def test_arrays_and_tensors_are_pictures_too(image):
    (picture,) = pictures_of(rerank([image], "a", FixedScorer([0.5]))._repr_html_())
    assert picture.size == (8, 8)


def test_of_many_the_best_are_shown_and_the_others_counted():
    numbers = [i / 100 for i in range(30)]
    html = rerank([plain("red")] * 30, "a", FixedScorer(numbers))._repr_html_()
    assert len(pictures_of(html)) == 12
    assert html.endswith("<p>and 18 more</p>")


def test_an_empty_ranking_shows_nothing():
    ranking = rerank([plain("red")], "a", FixedScorer([0.1]), minimum=0.5)
    assert pictures_of(ranking._repr_html_()) == []


def test_a_generation_is_shown_alike():
    scores = torch.tensor([0.5])
    html = Generation(
        images=(plain("red"),), seeds=(7,), scores=scores, order=(0,), candidate_scores=scores, provenance={}
    )._repr_html_()  # fmt: skip
    assert "1. seed 7, 0.5000" in html


def test_large_pictures_are_shrunk_and_kept_in_shape():
    (picture,) = pictures_of(figures([(plain("red", (2000, 1000)), "")]))
    assert picture.size == (256, 128)
