"""Prompts that say several things, as rows that each say one and scripts that say when; what reports call the rows."""

import pytest
import torch

from clipcond import Conditioner, Region
from clipcond.conditioning.report import Report
from clipcond.errors import ClipcondError
from clipcond.families.inputs import NEGATIVE, POSITIVE
from clipcond.hooks.clock import Moment
from clipcond.hooks.program import Constant
from tests import doubles as tiny
from tests.tiny import tiny_pipeline

CONDITIONER = Conditioner.from_pipeline(tiny_pipeline())
LEFT = Region("a fox", box=(0, 0, 0.5, 1))


def plain(text):
    return CONDITIONER(text).prompt_embeds[0]


def said(conditioning, side=POSITIVE):
    prompts = "prompts" if side == POSITIVE else "negative_prompts"
    return [(row.prompt, row.said) for row in getattr(conditioning.report, prompts)]


def says(track, embeds, steps):
    """The states of a track at each step."""
    return [embeds[track.at(Moment(step, steps, step / steps)).row] for step in range(steps)]


def test_a_schedule_is_a_row_for_each_thing_that_it_says():
    ours = CONDITIONER("[fox:cat:0.5], [red|blue] ball", steps=4)
    assert ours.prompt_embeds.shape[0] == 4
    (script,) = ours.scripts[POSITIVE]
    texts = ["fox, red ball", "fox, blue ball", "cat, red ball", "cat, blue ball"]
    for states, text in zip(says(script.parts[0].track, ours.prompt_embeds, 4), texts, strict=True):
        torch.testing.assert_close(states, plain(text), rtol=0, atol=1e-6)
    assert said(ours) == [(0, f"step {n}: {text}") for n, text in enumerate(texts, start=1)]


def test_any_number_of_steps_is_served_unless_one_is_named():
    text = "[a:cat:3] [sky:dog:0.5]"
    anything, named = CONDITIONER(text), CONDITIONER(text, steps=8)
    for steps in (1, 2, 8, 20, 150):
        says(anything.scripts[POSITIVE][0].parts[0].track, anything.prompt_embeds, steps)
    assert (0, "cat dog") in said(anything), "without steps, only the words are told"
    with pytest.raises(
        ClipcondError, match="at step 2 of 2 that was not encoded: condition with steps=2"
    ):
        says(named.scripts[POSITIVE][0].parts[0].track, named.prompt_embeds, 2)
    with pytest.raises(ClipcondError, match="steps: got 0"):
        CONDITIONER(text, steps=0)


def test_what_never_changes_is_no_schedule():
    ours = CONDITIONER("a [cat:dog:20]", steps=20)
    assert not ours.is_dynamic
    assert torch.equal(ours.prompt_embeds[0], plain("a cat"))
    assert said(ours) == [(None, "")]


def test_and_is_a_part_for_each_branch():
    conditioner = Conditioner.from_pipeline(tiny_pipeline(), dialect="a1111+")
    ours = conditioner("a cat AND [red:blue:0.5] sky :0.5 AND_PERP dog :-1", steps=4)
    (script,) = ours.scripts[POSITIVE]
    assert [(part.operator, part.weight) for part in script.parts] == [
        ("AND", 1.0),
        ("AND", 0.5),
        ("AND_PERP", -1.0),
    ]
    for part, texts in zip(
        script.parts,
        (["a cat"] * 4, [" red sky"] * 2 + [" blue sky"] * 2, [" dog"] * 4),
        strict=True,
    ):
        for states, text in zip(says(part.track, ours.prompt_embeds, 4), texts, strict=True):
            torch.testing.assert_close(states, plain(text), rtol=0, atol=1e-6)
    assert said(ours) == [
        (0, "AND :1"),
        (0, "AND :0.5, steps 1-2: red sky"),
        (0, "AND :0.5, steps 3-4: blue sky"),
        (0, "AND_PERP :-1"),
    ]


def test_regions_are_places_beside_the_prompt():
    mask = torch.zeros(4, 6)
    mask[:2] = 1
    ours = CONDITIONER(
        "the sky", regions=[LEFT, Region("a [cat:dog:2]", mask=mask, weight=0.8)], steps=4
    )
    (script,) = ours.scripts[POSITIVE]
    assert [place.region.prompt for place in script.places] == ["a fox", "a [cat:dog:2]"]
    assert said(ours) == [
        (0, ""),
        (0, "region (0, 0, 0.5, 1)"),
        (0, "region of a 6 x 4 mask :0.8, steps 1-2: a cat"),
        (0, "region of a 6 x 4 mask :0.8, steps 3-4: a dog"),
    ]
    assert "1 prompt of 4 states, 2 regions by" in repr(ours)
    assert [row.said for row in ours.report.negative_prompts] == [""]


def test_each_prompt_of_a_batch_has_its_own():
    ours = CONDITIONER(
        ["a cat", "[red:blue:1] sky", "dog AND fox"],
        negative_prompt=["", "[bad:red:2]", "bad"],
        regions=[[LEFT], [], []],
        steps=3,
    )
    assert [row[0] for row in said(ours)] == [0, 0, 1, 1, 2, 2]
    assert said(ours, NEGATIVE) == [(0, ""), (1, "steps 1-2: bad"), (1, "step 3: red"), (2, "")]
    assert [len(script.places) for script in ours.scripts[POSITIVE]] == [1, 0, 0]
    assert [script.is_composed for script in ours.scripts[POSITIVE]] == [False, False, True]
    rows = [
        track.row
        for script in ours.scripts[NEGATIVE]
        if isinstance(track := script.parts[0].track, Constant)
    ]
    assert rows == [0, 3]
    assert ours.stats.calls == 1


@pytest.mark.parametrize("builder", ["sdxl", "sd3", "flux"])
def test_one_forward_of_each_encoder_whatever_is_asked(builder):
    conditioner = Conditioner.from_pipeline(tiny.BUILDERS[builder]())
    ours = conditioner(
        ["[fox|cat|dog] sky", "a cat AND a dog AND a (cat:1.2)"],
        negative_prompt="[bad:red:0.3]",
        regions=[[LEFT], []],
    )
    assert {stats.calls for stats in ours.stats.encoders.values()} == {1}


def test_equal_texts_are_encoded_once():
    ours = CONDITIONER("a cat AND a cat:0.5 AND [a cat:dog:0.5]", negative_prompt="dog", steps=4)
    assert len(ours.prompt_embeds) == 4
    assert ours.stats.rows == 2
    assert torch.equal(ours.prompt_embeds[0], ours.prompt_embeds[1])


def test_what_the_encoders_read_together_changes_together():
    pipe = tiny.sdxl()
    conditioner = Conditioner.from_pipeline(pipe)
    ours = conditioner("[cat:dog:1]", prompt_2="[red:blue:2]", steps=3)
    expected = [
        conditioner(one, prompt_2=two)
        for one, two in (("cat", "red"), ("dog", "red"), ("dog", "blue"))
    ]
    for row, alone in enumerate(expected):
        torch.testing.assert_close(
            ours.prompt_embeds[row], alone.prompt_embeds[0], rtol=0, atol=1e-5
        )
        torch.testing.assert_close(
            ours.pooled_prompt_embeds[row], alone.pooled_prompt_embeds[0], rtol=0, atol=1e-5
        )
    words = [[row.said for row in seen.prompts] for seen in ours.report.encoders.values()]
    assert words == [
        ["step 1: cat", "step 2: dog", "step 3: dog"],
        ["step 1: red", "step 2: red", "step 3: blue"],
    ]


def test_zeros_stand_beside_several_states():
    ours = Conditioner.from_pipeline(tiny.sdxl(zeros=True))(["[cat:dog:1]", "fox"], steps=2)
    assert len(ours.prompt_embeds) == 3
    assert not ours.negative_prompt_embeds.any()
    assert [script.parts[0].track.rows for script in ours.scripts[NEGATIVE]] == [(0,), (1,)]
    assert len(ours.negative_prompt_embeds) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"prompt": "a", "negative_prompt": "bad AND worse"},
            r"negative prompt 'bad AND worse' .* only prompts",
        ),
        (
            {"prompt": "a AND b", "regions": [LEFT]},
            "'a AND b' is composed with AND: give its parts as regions",
        ),
        (
            {"prompt": "a", "regions": [Region("b AND c", box=(0, 0, 1, 1))]},
            "'b AND c', joins prompts with AND",
        ),
        ({"prompt": ["a", "b"], "regions": [LEFT]}, "of several prompts, a list of them for each"),
        ({"prompt": ["a", "b"], "regions": [[LEFT]]}, "1 lists for 2 prompts"),
    ],
)
def test_what_cannot_be_said_is_refused(options, message):
    with pytest.raises(ClipcondError, match=message):
        CONDITIONER(**options)


def test_and_with_another_prompt_for_the_second_encoder_is_refused():
    with pytest.raises(ClipcondError, match="prompt_2 or prompt_3 says something else"):
        Conditioner.from_pipeline(tiny.sdxl())("a AND b", prompt_2="c")


def test_the_report_alone_says_the_same():
    text = "[cat:dog:1] AND fox"
    assert CONDITIONER.report(text, steps=3) == CONDITIONER(text, steps=3).report


def test_reports_say_it_in_text_html_and_json():
    report = CONDITIONER(["a", "[cat:<b>:1]"], negative_prompt="[x|y]", steps=12).report
    text, html = str(report), report.to_html()
    assert "prompt 1, step 1: cat:" in text
    assert "prompt 1, steps 2-12: <b>:" in text
    assert "negative 0, steps 1, 3, 5, 7, 9 and 1 times more: x:" in text
    assert "prompt 1, steps 2-12: &lt;b&gt;</b>" in html
    assert Report.from_json(report.to_json()) == report


def test_a_report_of_before_is_read():
    report = CONDITIONER("a cat").report
    old = report.to_json()
    for seen in old.values():
        for row in (*seen["prompts"], *seen["negative_prompts"]):
            del row["said"], row["prompt"]
    assert Report.from_json(old) == report


def test_breaks_and_weights_are_told():
    ours = CONDITIONER("[(cat:1.2):dog BREAK sky:1]", steps=2)
    assert [row for _, row in said(ours)] == ["step 1: (cat:1.2)", "step 2: dog BREAK sky"]
