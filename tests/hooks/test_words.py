"""Words are found where they stand: whole ones before parts, all occurrences, in every encoder's positions."""

import pytest

from clipcond import Conditioner, lerp
from clipcond.conditioning.places import texts_of
from clipcond.conditioning.reading import read
from clipcond.errors import ClipcondError, PromptCutWarning
from clipcond.families.finding import family_named
from clipcond.families.inputs import POSITIVE
from clipcond.hooks.words import Text, Texts, Word
from clipcond.prompt import parse
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
    "name", ["sd1", "sdxl", "sd3", "PixArtAlphaPipeline", "PRXPipeline", "HunyuanVideoPipeline"]
)
def test_reported_positions_are_those_of_the_ids(name):
    pipe = doubles.BUILDERS[name]() if name in doubles.BUILDERS else ZOO[name].build()
    conditioner = Conditioner.from_pipeline(pipe)
    for path in conditioner.paths:
        rules = conditioner.options.rules(conditioner.family, path.role)
        asked = {POSITIVE: [parse(prompt) for prompt in PROMPTS]}
        for reading in read(asked, path.tokenizer_of, rules)[POSITIVE]:
            ((_, chunks),) = reading.branches
            ids = [one for chunk in chunks for one in chunk.ids]
            assert reading.report.positions == len(ids)
            for token in reading.report.tokens:
                assert ids[token.position] == token.id


def test_branches_that_follow_each_other_have_positions_that_do():
    conditioner = Conditioner.from_pipeline(doubles.sd1(), dialect="compel")
    found = {}
    for joint in ("and", "blend"):
        said = conditioner(f'("a fox", "a cat").{joint}()')
        found[joint] = texts_of(said.report, conditioner.family, said.positive, 1)
    assert found["and"].find("fox")[0] == found["blend"].find("fox")[0] == [2]
    assert found["and"].find("cat") == {0: [77 + 2]}
    assert found["blend"].find("cat") == {0: [2]}


def test_two_conditionings_made_one_have_no_places():
    conditioner = Conditioner.from_pipeline(doubles.sd1())
    between = lerp(conditioner("a fox"), conditioner("a cat"), 0.5)
    with pytest.raises(ClipcondError, match="made of two"):
        texts_of(between.report, conditioner.family, between.positive, 1)


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
