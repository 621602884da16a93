"""Two ways of drawing compared: the answer is that of `clipcond evaluate`, and nothing stays behind."""

from pathlib import Path

import pytest

from clipcond.errors import ClipcondError
from clipcond.evaluation.record import compare
from clipcond.hooks.session import session_of
from demos import evaluate, evaluating
from demos.stream import Stopped, Switches

HOSTILE = "<img src=x onerror=alert(1)>"
# A and B: steps, guidance, weighting, template; then set, count, seed and prompts typed
GOOD = (8, 3.0, "comfy", "{prompt}", 1, 3.0, "comfy", "{prompt}", "all kinds", 8, 0, "")


@pytest.fixture(scope="module")
def record(studio, tmp_path_factory):
    seen = []
    question = evaluate.asked(studio, GOOD)
    found = evaluating.evaluate(
        studio, question, tmp_path_factory.mktemp("run") / "evaluation", seen.append
    )
    shares = [step.done for step in seen]
    assert shares == sorted(shares)
    assert shares[:2] == [0, 1 / 9]  # eight looks and one, all prompts at once
    return found


def test_settings_are_named_by_what_differs(studio):
    a, b = evaluate.asked(studio, GOOD).settings
    assert (a.label, b.label) == ("A: 8 steps", "B: 1 steps")
    other = (*GOOD[:4], 8, 1.5, "comfy", "({prompt}:1.2)", *GOOD[8:])
    _, b = evaluate.asked(studio, other).settings
    assert b.label == "B: guidance 1.5, “({prompt}:1.2)”"


def test_the_first_set_has_a_bit_of_every_task(studio):
    from clipcond import emoji

    first = evaluate.asked(studio, GOOD).prompts.prompts[:6]
    assert [p.text for p in first] == [each[0] for each in emoji.tasks().values()]
    assert {p.category for p in first} == {""}


def test_the_page_says_what_the_library_says(record):
    html = evaluating.told(record)
    for contrast in compare([record]):
        assert contrast.verdict[1:] in html
        assert f"<h4>{contrast.scorer}</h4>" in html
    assert [each.scorer for each in compare([record])] == ["oracle", "judge", "emoji"]
    assert html.count("<svg") == 3
    assert html.count("also conditioned the pictures") == 1
    assert 2 <= html.count("<img") <= 16
    assert "Better by A: 8 steps" in html


def test_the_one_that_leads_is_named_whichever_it_is(studio, record):
    (contrast, *_) = compare([record])
    from dataclasses import replace

    turned = replace(
        contrast,
        first=contrast.second,
        second=contrast.first,
        difference=-contrast.difference,
        low=-contrast.high,
        high=-contrast.low,
        wins=contrast.losses,
        losses=contrast.wins,
    )
    said = evaluating._numbers(contrast, percent=True)
    assert said.startswith("“A: 8 steps” leads by ")
    assert evaluating._numbers(turned, percent=True) == said


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (4, 8, "both are the same"),
        (0, 0, "A: steps: got 0"),
        (5, "much", "B: guidance: got 'much'"),
        (2, "heavy", "heavy"),
        (3, "a photo", "needs {prompt}"),
        (8, "nothing", "prompt set: got 'nothing'; choose among all kinds"),
        (9, 1000, "how many: got 1000"),
        (11, "a fox\na fox\na cat", "got 2 different ones"),
    ],
)
def test_what_makes_no_sense_is_said(studio, place, value, says):
    values = [*GOOD[:place], value, *GOOD[place + 1 :]]
    with pytest.raises(ClipcondError, match=says):
        evaluate.asked(studio, values)


def test_prompts_that_the_oracle_does_not_know_are_judged_by_the_others(studio):
    typed = "\n".join([HOSTILE, "a unicorn", "a dragon", "a city"])
    values = [*GOOD[:11], typed]
    *_, (status, html, report) = evaluate.frames(
        studio, Switches(), evaluate.asked(studio, values), "me"
    )
    assert "8 pictures of 4 prompts" in status
    assert "<h4>oracle</h4>" not in html
    assert "<h4>judge</h4>" in html
    assert "does not understand" in html
    assert "<img src=x" not in html
    assert not Path(report["value"]).exists()  # gradio has taken its copy by then


def test_stopping_leaves_the_pipeline_as_it_was(studio, tmp_path):
    def stop(_):
        raise Stopped

    with pytest.raises(Stopped):
        evaluating.evaluate(studio, evaluate.asked(studio, GOOD), tmp_path / "run", stop)
    assert session_of(studio.pipe) is None
    assert not studio.pipe.unet._forward_pre_hooks
