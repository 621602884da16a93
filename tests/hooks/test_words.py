"""Words are found where they stand: whole ones before parts, all occurrences, in every encoder's positions."""

import pytest

from clipcond import Conditioner
from clipcond.conditioning.places import texts_of
from clipcond.errors import ClipcondError, PromptCutWarning
from clipcond.families.finding import family_named
from clipcond.hooks.words import Text, Texts, Word
from tests import doubles
from tests.zoo import ZOO


def text(*tokens: str, cut: str = "") -> Text:
    """Tokens after a BOS; one that begins with "+" goes on with the word before."""
    words = tuple(
        Word(token.lstrip("+"), position, 1, token.startswith("+"))
        for position, token in enumerate(tokens, start=1)
    )
    return Text((words,), cut)


@pytest.mark.parametrize(
    ("asked", "positions"),
    [
        ("fox", [2, 6]),
        ("Fox", [2, 6]),
        ("red fox", [5, 6]),
        ("pumpkin", [8, 9]),
        ("kin", [9]),  # a token, as no word is that
        ("cat", [11]),  # not the one in "catalog"
        ("catalog", [13, 14]),
        ("pumpkin,", [8, 9, 10]),
        ("a", [1, 4]),
        ("fo", []),
    ],
)
def test_a_word_is_found(asked, positions):
    prompt = text(
        "a", "fox", "and", "a", "red", "fox", "of", "pump", "+kin", "+,", "cat", "in", "cat", "+alog"
    )  # fmt: skip
    assert prompt.find(asked) == positions


def test_only_rows_that_have_it_have_positions():
    texts = Texts((text("a", "fox"), text("a", "cat")), 77, 1)
    assert texts.find("fox") == {0: [2]}
    assert texts.find("a") == {0: [1], 1: [1]}


def test_what_is_not_there_is_refused_with_what_is():
    texts = Texts((text("a", "pump", "+kin", cut="and a red ball"),), 77, 1)
    with pytest.raises(ClipcondError, match="'dog': it is in no prompt; there are 'a', 'pumpkin'"):
        texts.find("dog")
    with pytest.raises(ClipcondError, match="'red ball': it was cut, with all of 'and a red ball'"):
        texts.find("red ball")
    with pytest.raises(ClipcondError, match="' ' is no word"):
        texts.find(" ")


PROMPTS = ["a red fox, a cat and a fox", "((big)) [red] fox:1.2 BREAK a (fox hat:1.3) cats", "dog"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    ["sd1", "sdxl", "sd3", "flux", "PixArtAlphaPipeline", "PRXPipeline", "HunyuanVideoPipeline"],
)
def test_reported_positions_are_those_of_the_ids(name):
    pipe = doubles.BUILDERS[name]() if name in doubles.BUILDERS else ZOO[name].build()
    conditioner = Conditioner.from_pipeline(pipe)
    spoken = conditioner.report(PROMPTS)
    for path in conditioner.paths:
        for seen in spoken.encoders[path.role.slot].prompts:
            assert seen.positions >= seen.length
            texts = [token.text.strip() for token in seen.tokens if not token.goes_on]
            assert all(texts)
            positions = [token.position for token in seen.tokens]
            assert positions == sorted(set(positions))


@pytest.mark.parametrize("long", ["a cat", "a cat " * 60 + "fox"])
def test_positions_are_those_that_the_encoder_reads(long):
    """The states of a word change where it is exchanged for another, and nowhere before."""
    pipe = doubles.sd3()
    conditioner = Conditioner.from_pipeline(pipe)
    family = family_named("Stable Diffusion 3")
    one, other = (conditioner(f"{long} with a {noun}") for noun in ("dog", "hat"))
    length = one.prompt_embeds.shape[1]
    places = texts_of(one.report, family, one.positive, 1)
    changed = (one.prompt_embeds[0] != other.prompt_embeds[0]).any(-1).nonzero().flatten().tolist()
    found = places.find("dog")[0]
    assert len(found) == 2  # CLIP's and T5's
    assert min(changed) == found[0]
    assert found[1] in changed
    assert places.length == length
    assert found[1] > 77 * one.report.prompts[0].chunks - 1


@pytest.mark.filterwarnings("ignore")
def test_what_was_cut_is_said_to_be():
    pipe = doubles.sd1()
    with pytest.warns(PromptCutWarning):
        cut = Conditioner.from_pipeline(pipe, long_prompt="truncate")("a cat " * 50 + "and a fox")
    texts = texts_of(cut.report, family_named(cut.family), cut.positive, 1)
    with pytest.raises(ClipcondError, match="'fox': it was cut"):
        texts.find("fox")
