"""What a PNG says of itself can be read back, by us and by A1111's own reader."""

import json
import re

import pytest
from PIL import Image

from clipcond.gallery.metadata import a1111_parameters, png_info

PROVENANCE = {
    "prompt": "a (red:1.3) heart, smiling — ❤️",
    "negative_prompt": "bad: quality",
    "settings": {"num_inference_steps": 20, "guidance_scale": 4.0},
    "scheduler": "DDIMScheduler",
    "model": "emoji",
}
# modules/infotext_utils.py of AUTOMATIC1111/stable-diffusion-webui
RE_PARAM = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def test_both_texts_survive_the_file(tmp_path):
    info = png_info(PROVENANCE, seed=7, scored={"score": 0.25}, size=(32, 48))
    Image.new("RGB", (32, 48)).save(tmp_path / "p.png", pnginfo=info)
    with Image.open(tmp_path / "p.png") as opened:
        record = json.loads(opened.text["clipcond"])
        parameters = opened.text["parameters"]
    assert record == {**PROVENANCE, "seed": 7, "score": 0.25}
    *prompt, negative, settings = parameters.splitlines()
    assert prompt == [PROVENANCE["prompt"]]
    assert negative == "Negative prompt: bad: quality"
    assert dict(RE_PARAM.findall(settings)) == {
        "Steps": "20",
        "Sampler": "DDIMScheduler",
        "CFG scale": "4.0",
        "Seed": "7",
        "Size": "32x48",
        "Model": "emoji",
    }


def test_no_negative_no_line_and_unknown_settings_are_left_out():
    text = a1111_parameters(
        {**PROVENANCE, "negative_prompt": None, "settings": {}}, seed=1, size=(8, 8)
    )
    assert "Negative" not in text
    assert "Steps" not in text


@pytest.mark.parametrize("model", ["org/name, v2", 'a "b"', "c: d"])
def test_awkward_model_names_are_quoted(model):
    text = a1111_parameters({**PROVENANCE, "model": model}, seed=1, size=(8, 8))
    assert json.loads(dict(RE_PARAM.findall(text.splitlines()[-1]))["Model"]) == model
