"""Where the words of a prompt are looked at, without a page."""

from dataclasses import replace

import pytest
import torch

from clipcond.errors import ClipcondError
from clipcond.hooks.session import session_of
from demos import attention, looking
from demos.settings import Settings
from demos.stream import Stopped, Switches

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def looked(studio):
    settings = Settings(prompt="a fox, a Fox and a pumpkin!", candidates=2, steps=4, seed=3)
    return looking.look(studio, settings, lambda _: None)


def test_words_are_whole_and_each_is_there_once(studio):
    def words(prompt):
        return looking.words_of(studio.read_as("a1111").report(prompt))

    assert words("a Fox, a fox and (a pumpkin:1.3)!") == ("a", "Fox", "and", "pumpkin")
    assert words("xylophonists [wave:weep:0.5]") == ("xylophonists", "wave", "weep")
    assert words("!, .") == ()


def test_every_word_has_a_map_of_every_picture(looked):
    assert looked.words == ("a", "fox", "and", "pumpkin")
    assert looked.maps.shape[:2] == (4, 2)
    assert looked.seeds == (3, 4)
    assert looked.maps.sum(0).max() <= 1 + 1e-5


def test_the_first_word_is_the_one_that_stands_out_most(looked):
    flat, pointed = torch.full((2, 8, 8), 0.9), torch.full((2, 8, 8), 0.01)
    pointed[:, 1, 6] = 0.2
    maps = torch.stack([flat, pointed])
    assert replace(looked, words=("a", "fox"), maps=maps).pointed == "fox"


def test_the_map_of_the_chosen_word_lies_over_each_picture(looked):
    html = looking.seen(looked, "fox")
    assert html.count("<img") == 4
    assert 'alt="where fox is looked at, seed 4"' in html
    assert html != looking.seen(looked, "pumpkin")
    with pytest.raises(ClipcondError, match="'cat' is not among a, fox"):
        looking.seen(looked, "cat")


def test_a_card_says_how_much_of_the_attention_it_is(looked):
    heat = torch.zeros(8, 8)
    heat[1, 6] = 1
    card = looking._card(looked.images[0], heat, 0, "fox")
    assert "up to 100.0%" in card
    assert "1.6% on average" in card


def test_no_markup_comes_through(studio, looked):
    card = looking._card(looked.images[0], torch.ones(2, 2), 0, HOSTILE)
    assert "<img src=x" not in card


def test_a_prompt_without_a_word(studio):
    with pytest.raises(ClipcondError, match="no word to look for"):
        looking.look(studio, Settings(prompt="!"), lambda _: pytest.fail("it drew"))


def test_the_page_follows_the_drawing_and_offers_the_words(studio):
    settings = Settings(prompt="[a fox:a cat:0.5] and a heart", candidates=2, steps=2)
    first, *_, last = attention.frames(studio, Switches(), settings, "me")
    assert first[1]["visible"] is False
    _, words, html, looked = last
    assert words["choices"] == ["a", "fox", "and", "heart", "cat"]
    assert words["value"] == looked.pointed
    assert f"where {looked.pointed} is looked at" in html


def test_stopping_leaves_nothing_watching(studio):
    def stop(_):
        raise Stopped

    with pytest.raises(Stopped):
        looking.look(studio, Settings(prompt="a fox", candidates=1, steps=2), stop)
    assert session_of(studio.pipe) is None
