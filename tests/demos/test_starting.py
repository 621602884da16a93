"""Drawing from a picture: what is kept of it, what is refused, how it is told, and which pipelines can."""

import json

import numpy as np
import pytest
from PIL import Image

from clipcond import emoji
from clipcond.errors import ClipcondError
from demos import visit
from demos.drawing import finished, png
from demos.settings import Settings
from demos.starting import Start, fitted, sibling, start_of
from demos.studio import draw
from tests.zoo import ZOO

ASKED = Settings(prompt="a fox and a blue circle", candidates=3, steps=20)


@pytest.fixture(scope="module")
def origin():
    """A strawberry under a blue circle."""
    return emoji.render(emoji.sample(5), 32)


@pytest.fixture(scope="module")
def drawn(studio, origin):
    return draw(studio, ASKED, lambda _: None, start_of(origin, 0.5, ASKED.steps))


def distance(drawn, origin):
    pictures = [np.asarray(image, float) for image in drawn.generation.images]
    return np.mean([np.abs(picture - np.asarray(origin, float)).mean() for picture in pictures])


def test_what_is_asked_is_drawn_and_the_rest_stays(studio, drawn, origin):
    assert studio.starting.unet is studio.pipe.unet
    assert all(drawn.verdicts)
    anew = draw(studio, ASKED, lambda _: None)
    assert distance(drawn, origin) < distance(anew, origin) / 2


def test_less_strength_takes_fewer_steps(studio, origin):
    steps = []
    settings = Settings(prompt="[a fox:a cat:0.5]", candidates=1, steps=10)
    draw(studio, settings, steps.append, start_of(origin, 0.3, 10))
    assert [step.done for step in steps] == pytest.approx([1 / 3, 2 / 3, 1])


@pytest.mark.parametrize(
    ("strength", "steps", "says"),
    [(0.1, 5, "strength: 0.1 of 5 steps"), (0, 20, "strength: got 0"), ("x", 20, "got 'x'")],
)
def test_a_strength_that_draws_nothing_is_refused(origin, strength, steps, says):
    with pytest.raises(ClipcondError, match=says):
        start_of(origin, strength, steps)
    assert start_of(None, strength, steps) is None


def test_the_middle_square_of_an_upload_is_taken(studio, tmp_path):
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = 255
    path = tmp_path / "wide.png"
    Image.fromarray(wide).save(path)
    assert np.asarray(fitted([str(path)], studio.starting)).min() > 200
    assert fitted([str(path)], studio.starting).size == (32, 32)
    path.write_text("<svg onload=alert(1)>")
    with pytest.raises(ClipcondError, match=r"wide\.png: no picture"):
        fitted([str(path)], studio.starting)


def test_it_is_told_and_no_address_promises_it(studio, drawn, tmp_path):
    _, _, details, _, query = finished(studio, drawn)
    assert query == "?"
    assert "Link" not in details
    assert "<dt>strength</dt><dd>0.5</dd>" in details
    (tmp_path / "saved.png").write_bytes(png(drawn, 0))
    with Image.open(tmp_path / "saved.png") as saved:
        assert "Denoising strength: 0.5" in saved.text["parameters"]
        told = json.loads(saved.text["clipcond"])
    assert told["pipeline"] == "StableDiffusionImg2ImgPipeline"
    assert told["settings"]["image"].endswith(" of (32, 32)")


def test_a_visit_tells_starts_apart(drawn, origin):
    def now(start):
        return visit.told(visit.Asked.of(drawn), visit.Asked(ASKED, start))

    other = emoji.render(emoji.sample(6), 32)
    assert now(Start(picture=origin.copy(), strength=0.5)) == "Drawn with what is set now."
    assert now(Start(picture=origin, strength=0.7)).endswith(": strength 0.5.")
    assert now(None).endswith(": the picture to start from.")
    assert now(Start(picture=other, strength=0.5)).endswith(": the picture to start from.")
    assert visit.differing(visit.Asked(ASKED), visit.Asked.of(drawn)) == [
        "no picture to start from"
    ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "starts"),
    [
        ("StableDiffusionXLPipeline", "StableDiffusionXLImg2ImgPipeline"),
        ("StableDiffusion3Pipeline", "StableDiffusion3Img2ImgPipeline"),
        ("FluxPipeline", "FluxImg2ImgPipeline"),
        ("SanaPipeline", None),
    ],
)
def test_families_that_have_it(name, starts):
    found = sibling(ZOO[name].build())
    assert (found and type(found).__name__) == starts
