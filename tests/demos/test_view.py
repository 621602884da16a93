"""What the page shows, without a page."""

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from clipcond import emoji
from demos import clauses, judging, sweep, view, worldview
from demos.drawing import _tokens, finished, png, table_of
from demos.scene import compose
from demos.settings import Settings
from demos.stream import Stopped
from demos.studio import Step, draw
from demos.uploads import Upload
from demos.worldview import Quiz

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def drawn(studio):
    settings = Settings(prompt="a red heart and a (fox:1.3)", candidates=2, steps=4)
    steps = []
    result = draw(studio, settings, steps.append)
    assert [round(step.done, 2) for step in steps] == [0.25, 0.5, 0.75, 1.0]
    assert any(len(step.previews) == 2 for step in steps)
    return result


def test_tokens_show_weights_windows_and_notes(studio):
    shown = _tokens(studio, "a (fox:1.3) and a (cat:0.6) (oops", "a1111", "prompt")
    assert '<span class="up"' in shown
    assert '<span class="down"' in shown
    assert "<sub>1.3</sub>" in shown
    assert "^" in shown  # the caret under the open bracket
    assert "window 2 of 2" in _tokens(studio, "fox " * 90, "a1111", "prompt")
    assert _tokens(studio, "  ", "a1111", "prompt") == ""


def test_what_cannot_be_read_is_said_in_its_place(studio):
    assert "1,000,000 characters" in _tokens(studio, "x" * 10**6, "a1111", "prompt")
    assert "note bad" in _tokens(studio, "x" * 10**6, "a1111", "prompt")


def test_no_markup_comes_through(studio, drawn):
    upload = Upload(names=(HOSTILE,), pictures=(drawn.generation.images[0],), prompts=())
    shown = [
        _tokens(studio, HOSTILE, "plain", "prompt"),
        view.trouble(HOSTILE),
        view.status(HOSTILE),
        judging.matrix(studio.scorer, upload, [HOSTILE, "b"]),
        judging.ranking(
            upload, HOSTILE, judging.columns(studio.scorers, upload, HOSTILE, studio.null)
        ),
        judging.classes(studio.scorers, upload, [HOSTILE, "b"], "a {}"),
        sweep.curves([sweep.Row(mode=HOSTILE, pictures=(), scores=(0.1,) * 7, right=())]),
    ]
    for html in shown:
        assert "<img src=x" not in html


def test_right_to_left_text_keeps_its_direction(studio):
    assert 'dir="auto"' in _tokens(studio, "שועל אדום", "a1111", "prompt")


def test_cards_fall_and_one_is_chosen(studio, drawn):
    html = view.cards(drawn, chosen=1)
    numbers = [float(n) for n in re.findall(r'class="num">([\d.]+)<', html)]
    assert numbers == sorted(numbers, reverse=True)
    assert html.count('aria-pressed="true"') == 1
    assert html.count("<button") == 2
    status, _, details, _, query = finished(studio, drawn)
    assert "oracle" in status
    assert "Save PNG" in details
    assert query == "?" + drawn.settings.query()


def test_a_saved_picture_says_how_it_was_made(drawn):
    import json
    from io import BytesIO

    record = json.loads(Image.open(BytesIO(png(drawn, 1))).text["clipcond"])
    assert record["prompt"] == drawn.settings.prompt
    assert record["seed"] == drawn.generation.seeds[1]


def test_clauses_are_the_prompts_own(studio, drawn):
    assert [row.clause.text for row in table_of(studio, drawn, 0).rows] == ["a red heart", "a fox"]


def test_what_a_clause_lacks_is_said_in_words(studio):
    picture = emoji.render(compose("two red hearts and a cat"), 64)
    prompt = "three red hearts, a fox, a cat"
    table = studio.scorer.clauses(picture, prompt, studio.null)
    by_oracle = clauses.shown(table, emoji.check(picture, emoji.expected("a cat")))
    assert re.findall(r'class="lack">([^<]+)<', by_oracle) == [
        "2 red hearts instead of 3",
        "no fox found",
        "found, though CLIP hardly sees it",
    ]
    words = "2 red hearts instead of 3, no fox found"
    assert clauses.summary(table, clauses.read(picture)) == words
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert clauses.read(Image.fromarray(noise)) is None
    assert clauses.read(picture.resize((64, 32))) is None


def test_clauses_that_only_clip_can_tell_of(studio):
    picture = emoji.render(compose("a fox"), 64)
    table = studio.scorer.clauses(picture, "a fox, a unicorn, a lamp", studio.null)
    rows = [
        replace(row, z=z, missing=z < 1) for row, z in zip(table.rows, (3.0, 2.0, 0.5), strict=True)
    ]
    fox, unicorn, lamp = rows
    assert [clauses.weakness(row, rows) for row in rows] == ["", "", "hardly stands out"]
    assert clauses.weakness(unicorn, rows[:2]) == "the weakest"
    assert clauses.weakness(fox, [fox]) == ""

    def said(*rows):
        return clauses.summary(replace(table, rows=rows), clauses.read(picture))

    assert said(fox, unicorn, lamp) == "weakest: “a lamp”, which hardly stands out"
    assert said(unicorn, replace(lamp, z=3.0, missing=False)) == "weakest: “a unicorn”"
    assert said(unicorn) == "stands out"
    assert said(lamp) == "hardly stands out"
    assert said(fox) == "all found"
    html = clauses.shown(replace(table, rows=(fox, lamp)), None)
    assert 'a lamp<span class="lack">hardly stands out</span>' in html


def test_stopping_leaves_the_pipeline_as_it_was(studio):
    def stop(_step: Step) -> None:
        raise Stopped

    before = dict(studio.pipe._progress_bar_config)
    with pytest.raises(Stopped):
        draw(studio, Settings(prompt="a fox", candidates=1, steps=4), stop)
    assert studio.pipe._progress_bar_config == before
    assert draw(studio, Settings(prompt="a fox", candidates=1, steps=2), lambda _: None).generation


def test_weight_one_is_the_same_picture_in_every_mode(studio):
    settings = Settings(prompt="a fox and a banana", steps=2)
    rows = list(
        sweep.sweep(studio, settings, "fox", modes=["comfy", "down_weight"], emit=lambda _: None)
    )
    one = sweep.WEIGHTS.index(1.0)
    first, second = (np.asarray(row.pictures[one], int) for row in rows)
    assert abs(first - second).max() <= 1
    html = sweep.grid(rows, "fox")
    assert html.count("<polyline") == 2
    assert html.count("<img") == 14


@pytest.mark.parametrize("word", ["", "ox", "cat"])
def test_a_word_that_is_not_there(word):
    with pytest.raises(Exception, match="is not in"):
        sweep.weighted("a fox", word, 1.2)


def test_a_word_at_a_weight():
    assert (
        sweep.weighted("a fox, two foxes and a fox", "fox", 0.5)
        == "a (fox:0.5), two foxes and a fox"
    )


def test_the_ranking_finds_the_right_picture(studio):
    texts = ["a cat on pink", "a fox and a banana on pink", "two rockets"]
    pictures = tuple(emoji.render(compose(text, 1)) for text in texts)
    upload = Upload(names=("a", "b", "c"), pictures=pictures, prompts=())
    found = judging.columns(studio.scorers, upload, texts[1], studio.null)
    assert len(found) == 2  # the model's own CLIP and the judge
    assert [column.order[0] for column in found] == [1, 1]
    assert found[0].percentile[1] > 95
    html = judging.clauses(studio, upload, texts[1], found[0].order)
    assert "a banana on pink" in html
    assert 'class="bad"' in html


def test_the_quiz_counts(studio):
    settings = Settings(prompt="a fox", dialect="plain", candidates=3, steps=2)
    game = Quiz(drawn=draw(studio, settings, lambda _: None), shuffled=(2, 0, 1))
    wrong, right = game.answer(0), game.answer(1)
    assert (wrong.played, wrong.agreed) == (1, 0)
    assert (right.played, right.agreed) == (1, 1)
    assert right.answer(0) == right
    assert "Click it" in worldview.question(game)
    assert "crown" in worldview.question(right)
    assert "crown" not in worldview.question(game)


LONG = "a red fox on a blue house " * 20


@pytest.mark.slow
def test_every_table_says_what_clip_did_not_read(studio):
    pictures = tuple(emoji.render(compose(text, 1)) for text in ("a fox on pink", "two rockets"))
    upload = Upload(names=("a", "b"), pictures=pictures, prompts=())
    positions = studio.scorer.clip.positions
    cut = f"longer than the {positions} tokens that it reads; the end does not count"

    def tables(text):
        found = judging.columns(studio.scorers, upload, text, studio.null)
        yield judging.ranking(upload, text, found)
        yield judging.matrix(studio.scorer, upload, ["a fox", text])
        yield judging.classes(studio.scorers, upload, ["rocket", text], "a {}")

    assert all(cut in html for html in tables(LONG))
    assert not any(cut in html for html in tables("a fox"))
    word = "x" * 500
    assert cut in judging.clauses(studio, upload, word, [0, 1])
    assert "<i class=cut>cut</i>" in clauses.shown(
        studio.scorer.clauses(pictures[0], f"a fox, {word}", studio.null), None
    )


def test_a_drawing_says_that_its_prompt_was_cut_in_the_scores(studio):
    settings = Settings(prompt=LONG, candidates=1, steps=1)
    status, *_ = finished(studio, draw(studio, settings, lambda _: None))
    assert "its end does not count in the scores" in status
