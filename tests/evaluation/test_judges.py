"""Judges: who is named how, and that each says how its numbers are made."""

import pytest
import torch

from clipcond import ClipScorer, emoji
from clipcond.errors import ClipcondError
from clipcond.evaluation import Oracle, find_judges
from clipcond.evaluation.judges import Judge
from clipcond.score import PictureError
from tests.tiny import save_tiny_clip

RED = emoji.render(emoji.sample(3), 32)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("clip") / "tiny")


def test_names_sources_and_formulas(clip, tmp_path):
    head = tmp_path / "head.pth"
    dim = ClipScorer.from_pretrained(clip).clip.architecture.dim
    torch.save({"weight": torch.ones(1, dim), "bias": torch.zeros(1)}, head)
    names = [
        str(clip),
        f"{clip}@clipscore",
        f"mine={clip}@pickscore",
        f"{clip}@aesthetic:{head}",
        "oracle",
    ]
    judges = find_judges(names)
    assert list(judges) == ["tiny", "tiny@clipscore", "mine", "tiny@aesthetic", "oracle"]
    for judge in judges.values():
        assert isinstance(judge, Judge)
    clips = list(judges.values())[:-1]
    assert len({id(judge.scorer) for judge in clips}) == 1  # read once
    for judge in clips:  # what is promised beforehand is what is said afterwards
        assert judge.score([RED], ["a cat"]).provenance == judge.provenance
    cosine = float(clips[0].score([RED], ["A photo depicts a cat"]).values)
    assert float(clips[1].score([RED], ["a cat"]).values) == pytest.approx(2.5 * max(cosine, 0))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["emoji", "emoji"], "two are called 'emoji'; write NAME=emoji"),
        (["x="], r"\[NAME=\]SOURCE\[@FORMULA\]"),
        (["emoji@best"], "got the formula 'best'; choose one of cosine, clipscore"),
        (["no/such/clip.pt"], "no such"),
    ],
)
def test_what_there_is_not_is_said(names, said):
    with pytest.raises(ClipcondError, match=said):
        find_judges(names)


def test_the_oracle_says_what_is_missing_and_refuses_other_worlds():
    scene = emoji.sample(3)
    text = emoji.caption(scene, 3)
    found = Oracle().score([RED, emoji.render(emoji.sample(4), 32)], [text, text])
    assert found.values.tolist() == [1.0, 0.0]
    assert found.missed[0] == ""
    assert found.missed[1]
    with pytest.raises(PictureError) as error:
        Oracle().score([RED, RED], [text, "a portrait of a lady"])
    assert list(error.value.reasons) == [1]
