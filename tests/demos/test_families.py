"""Any pipeline of a known family that draws pictures: opened from its folder, drawn, judged, laid out; others are refused."""

import pytest

from clipcond.errors import ClipcondError
from demos.app import page
from demos.drawing import finished
from demos.settings import Settings
from demos.studio import draw, open_studio
from tests.zoo import ZOO

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def opened(name, folder):
    ZOO[name].build().save_pretrained(folder)
    return open_studio(str(folder), ["judge"])


@pytest.mark.parametrize(
    "name", ["StableDiffusionXLPipeline", "StableDiffusion3Pipeline", "FluxPipeline"]
)
def test_it_draws_and_the_page_has_no_tab_of_the_emoji_world(name, tmp_path):
    studio = opened(name, tmp_path)
    steps = []
    drawn = draw(studio, Settings(prompt="a (red:1.3) cat", candidates=2, steps=2), steps.append)
    assert [step.done for step in steps] == [0.5, 1.0]
    status, cards, details, *_ = finished(studio, drawn)
    assert "oracle" not in status.lower()
    assert cards.count("<button") == 2
    assert "it knows the emoji world only" in details
    labels = [
        block.label for block in page(studio).blocks.values() if type(block).__name__ == "Tab"
    ]
    assert labels == ["Generate", "Weights", "Steps", "Attention", "Judge", "Evaluate", "Search"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("WanPipeline", "WanPipeline makes no pictures"),
        ("StableAudioPipeline", "StableAudioPipeline makes no pictures"),
        ("StableDiffusionImg2ImgPipeline", "starts from a picture"),
    ],
)
def test_what_the_page_cannot_show_is_refused(name, says, tmp_path):
    with pytest.raises(ClipcondError, match=says):
        opened(name, tmp_path)
