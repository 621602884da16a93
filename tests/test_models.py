"""The door for the names of models: one name means one model, to pipelines and CLIPs alike."""

import subprocess
import sys
from pathlib import Path

import pytest

from clipcond import ClipScorer, Conditioner
from clipcond.errors import ClipcondError
from clipcond.models import is_emoji, load_pipeline, locate, own_scorer, pick_device
from clipcond.resources import model_folder


def test_emoji_is_the_shipped_model_to_all_that_take_a_name():
    assert locate("emoji") == model_folder("emoji")
    scorer = ClipScorer.from_pretrained("emoji")
    same = ClipScorer.from_pretrained(model_folder("emoji") / "clip")
    assert scorer.provenance["weights_sha256"] == same.provenance["weights_sha256"]
    pipe = load_pipeline("emoji", device=pick_device("cpu"), dtype=scorer.clip.model.dtype)
    ours = Conditioner.from_pretrained("emoji")("a fox").prompt_embeds
    assert ours.equal(Conditioner.from_pipeline(pipe)("a fox").prompt_embeds)


def test_a_name_is_a_path_where_there_is_one_and_else_a_hub_id(tmp_path):
    assert locate(str(tmp_path)) == locate(tmp_path) == tmp_path
    assert locate("owner/model") == "owner/model"
    assert locate("x" * 5000) == "x" * 5000
    assert locate("a\0b") == "a\0b"


def test_the_shipped_model_is_known_however_it_is_named(tmp_path):
    assert is_emoji(locate("emoji"))
    assert is_emoji(Path(f"{model_folder('emoji')}/../emoji"))
    assert not is_emoji(tmp_path)
    assert not is_emoji("emoji")  # a hub id of somebody's


def test_a_model_without_a_clip_says_so(tmp_path):
    assert own_scorer(model_folder("emoji")) == str(model_folder("emoji") / "clip")
    with pytest.raises(ClipcondError, match="carries no CLIP of its own"):
        own_scorer(tmp_path)


def test_finding_a_name_loads_no_diffusers():
    code = "import sys, clipcond.models; print('diffusers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
