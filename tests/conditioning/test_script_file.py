"""Schedules, AND and regions in files: what is loaded draws bit for bit what was saved."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

import clipcond
from clipcond import Conditioner, Conditioning, Region, parse
from clipcond.conditioning.script_file import read_scripts, write_scripts
from clipcond.errors import CheckpointError
from clipcond.families.inputs import POSITIVE
from clipcond.hooks.clock import Moment
from clipcond.hooks.program import Keyframes, Part, Script
from tests import doubles as tiny
from tests.tiny import tiny_pipeline

PIPE = tiny_pipeline()
PIPE.set_progress_bar_config(disable=True)
CONDITIONER = Conditioner.from_pipeline(PIPE, dialect="a1111+")
MASK = torch.rand(5, 7, generator=torch.Generator().manual_seed(0))
REGIONS = [
    Region("[red:blue:0.5] sky", box=(0, 0, 0.3, 1), weight=0.7),
    Region("dog", mask=MASK),
    Region("fox", mask=MASK),  # of the same memory
]

WORD = st.sampled_from(
    ["cat", "red", "(sky:1.3)", "[dog]", "<lora:x:1>", "# note\n", "BREAK", "\\(a\\)", "b:2"]
)
WHEN = st.sampled_from(["0.5", "2", "0.33"])
SAID = st.recursive(
    st.lists(WORD, min_size=1, max_size=3).map(" ".join),
    lambda inner: (
        st.builds("[{}:{}:{}]".format, inner, inner, WHEN)
        | st.lists(inner, min_size=2, max_size=3).map(lambda options: f"[{'|'.join(options)}]")
    ),
    max_leaves=4,
)
OPERATOR = st.sampled_from([" AND ", ":0.4 AND ", " AND_PERP ", ":-1 AND_TOPK "])
PROMPTS = st.builds(lambda a, op, b: f"{a}{op}{b}", SAID, OPERATOR, SAID) | SAID


def through_file(conditioning, path):
    conditioning.save(path)
    return Conditioning.load(path)


def drawn(conditioning, pipe=PIPE, steps=4):
    with conditioning.attached(pipe):
        return pipe(
            **conditioning.kwargs_for(pipe),
            num_inference_steps=steps,
            output_type="np",
            generator=torch.Generator().manual_seed(0),
        ).images


def branches(prompt):
    return [branch for branch, _ in prompt.without_tags.branches]


@given(PROMPTS)
def test_a_branch_means_alone_what_it_means_in_its_prompt(text):
    """On which the format stands: prompts are saved as typed, branches as their parts of that."""
    for branch in branches(parse(text, "a1111+")):
        again = parse(branch.text, "a1111+").without_tags
        assert again == branch
        assert again.schedule(7) == branch.schedule(7)


@given(PROMPTS, PROMPTS)
@settings(max_examples=12)
def test_what_is_loaded_says_the_same_at_every_moment(tmp_path_factory, one, other):
    ours = CONDITIONER([one, other], steps=6)
    theirs = through_file(ours, tmp_path_factory.mktemp("saved") / "c.safetensors")
    assert torch.equal(theirs.prompt_embeds, ours.prompt_embeds)
    assert theirs.is_dynamic == ours.is_dynamic
    assert (repr(theirs), theirs.report) == (repr(ours), ours.report)
    for mine, back in zip(ours.scripts[POSITIVE], theirs.scripts[POSITIVE], strict=True):
        assert [(p.operator, p.weight) for p in back.parts] == [
            (p.operator, p.weight) for p in mine.parts
        ]
        for step in range(6):
            moment = Moment(step, 6, step / 6)
            assert [p.track.at(moment) for p in back.parts] == [
                p.track.at(moment) for p in mine.parts
            ]


@pytest.mark.parametrize(
    ("prompt", "options"),
    [
        ("[cat:dog:0.5] [red|blue]", {"negative_prompt": "[bad:sky:1]"}),
        ("cat AND [dog:sky:2] :0.5 AND_PERP red :-1", {}),
        ("sky", {"regions": REGIONS}),
        (["sky", "[cat:dog:0.5]"], {"regions": [[], REGIONS], "steps": 4}),
    ],
)
def test_what_is_loaded_draws_the_same(tmp_path, prompt, options):
    ours = CONDITIONER(prompt, **options)
    expected = drawn(ours)
    assert np.array_equal(drawn(through_file(ours, tmp_path / "c.safetensors")), expected)
    first = CONDITIONER("cat" if isinstance(prompt, str) else ["cat", "cat"])
    assert not np.array_equal(drawn(first), expected)


def test_keyframes_draw_the_same(tmp_path):
    one, other = CONDITIONER("cat"), CONDITIONER("dog")
    ours = clipcond.schedule([(0.0, one), (0.5, other)], easing="smooth")
    theirs = through_file(ours, tmp_path / "c.safetensors")
    assert np.array_equal(drawn(theirs), drawn(ours))
    assert [row.said for row in theirs.report.prompts] == [
        "from 0 of the run",
        "from 0.5 of the run",
    ]


def test_what_two_encoders_read_comes_back_together(tmp_path):
    pipe = tiny.sdxl()
    ours = Conditioner.from_pipeline(pipe)("[cat:dog:1]", prompt_2="[red:blue:2]")
    theirs = through_file(ours, tmp_path / "c.safetensors")
    assert np.array_equal(drawn(theirs, pipe, 3), drawn(ours, pipe, 3))


def test_masks_and_boxes_come_back_as_they_were(tmp_path):
    theirs = through_file(CONDITIONER("sky", regions=REGIONS), tmp_path / "c.safetensors")
    back = [place.region for place in theirs.scripts[POSITIVE][0].places]
    assert [(r.prompt, r.box, r.weight) for r in back] == [
        (r.prompt, r.box, r.weight) for r in REGIONS
    ]
    assert torch.equal(back[1].mask, MASK)
    assert torch.equal(back[2].mask, MASK)


def test_keyframes_come_back():
    keys = Keyframes((0.0, 0.4), (0, 1), "smooth", "slerp")
    scripts = {POSITIVE: (Script((Part(keys),)),)}
    written, masks = write_scripts(scripts)
    assert read_scripts(json.loads(json.dumps(written)), masks, {POSITIVE: 2}) == scripts


def test_what_always_says_one_thing_is_saved_as_before(tmp_path):
    CONDITIONER("a cat").save(tmp_path / "c.safetensors")
    with safe_open(tmp_path / "c.safetensors", "pt") as file:
        about = json.loads(file.metadata()["clipcond_conditioning"])
    assert about["version"] == 1
    assert "scripts" not in about


def damaged(tmp_path, change):
    path = tmp_path / "c.safetensors"
    CONDITIONER("[cat:dog:0.5]", regions=REGIONS[1:2]).save(path)
    with safe_open(path, "pt") as file:
        about = json.loads(file.metadata()["clipcond_conditioning"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 no mapping
    change(about, tensors)
    save_file(tensors, path, {"clipcond_conditioning": json.dumps(about)})
    return path


def script_of(about):
    return about["scripts"][POSITIVE][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, _: a["scripts"].pop(POSITIVE), "scripts of this conditioning are damaged"),
        (lambda a, _: script_of(a).update(parts=[]), "a script without parts"),
        (
            lambda a, _: script_of(a)["parts"][0]["track"].update(prompts=[["a", "klingon"]]),
            "klingon",
        ),
        (
            lambda a, _: script_of(a)["places"][0].update(track={"row": 9}),
            r"rows \[0, 1, 9\] .* has 3",
        ),
        (lambda a, _: script_of(a)["places"][0].update(track={"row": "x"}), "are damaged"),
        (lambda a, _: script_of(a)["places"][0].update(mask="mask_7"), "mask_7"),
        (lambda a, _: script_of(a)["places"][0].update(weight=-1), "weight=-1"),
        (lambda a, t: t.update(mask_1=t["mask_0"] * 1), "tensors of no conditioning: mask_1"),
        (lambda a, _: a.update(version=3), "no saved conditioning of this version"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        Conditioning.load(damaged(tmp_path, change))


def test_keyframes_that_cannot_be_are_refused():
    track = {"shares": [0.0, 0.4], "keys": [0], "easing": "linear", "curve": "lerp"}
    script = {"parts": [{"operator": "AND", "weight": 1.0, "track": track}], "places": []}
    with pytest.raises(CheckpointError, match="keyframes"):
        read_scripts({POSITIVE: [script]}, {}, {POSITIVE: 1})
