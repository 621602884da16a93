"""Captions say what the scene shows, and are read back as that."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcond import emoji
from clipcond.emoji.captions import SYNONYMS, compose, plural
from clipcond.emoji.requirements import Count, NothingElse, Relation
from clipcond.emoji.scenes import OPPOSITE
from clipcond.emoji.world import NOUNS
from clipcond.errors import ClipcondError

SEEDS = st.integers(0, 2**62)
TASKS = {
    "held_out": "400d0a5fbb078ff7",
    "train": "5b9a146a3b202e1d",
}  # what every figure about the shipped model was measured on


def implies(scene: emoji.Scene, requirement: object) -> bool:
    """Whether a requirement read from a caption is true of the scene."""
    truths = emoji.expected(scene)
    match requirement:
        case Count(group):
            return any(
                isinstance(t, Count)
                and (t.group.sprite, t.group.count) == (group.sprite, group.count)
                and group.size in (None, t.group.size)
                for t in truths
            )
        case Relation(subject, kind, other):
            return bool({requirement, Relation(other, OPPOSITE[kind], subject)} & set(truths))
        case _:
            return requirement in truths


@given(SEEDS, SEEDS, st.sampled_from(["small", "full"]))
def test_every_caption_reads_back_as_its_scene(seed: int, words: int, preset: str) -> None:
    scene = emoji.sample(seed, preset)
    found = emoji.expected(emoji.caption(scene, words), preset)
    assert all(implies(scene, requirement) for requirement in found)
    assert sum(isinstance(r, Count) for r in found) == len(scene.groups)
    assert isinstance(found[-1], NothingElse)


def test_every_word_means_one_sprite() -> None:
    for noun in NOUNS:
        for word in SYNONYMS.get(noun, (noun,)):
            for text in (f"a {word}", f"two {plural(word)} and a red heart"):
                first = emoji.expected(text, "full")[0]
                assert isinstance(first, Count), text
                assert first.group.sprite == noun, text


def test_several_objects_are_listed() -> None:
    scene = next(
        scene for seed in range(99) if len((scene := emoji.sample(seed, "full")).groups) == 4
    )
    text = compose(scene, np.random.default_rng(0), with_relation=True, with_background=True)
    assert text.count(", ") >= 2
    assert " and " in text
    assert sum(isinstance(r, Count) for r in emoji.expected(text, "full")) == 4


def test_captions_vary() -> None:
    scene = emoji.sample(1)
    assert len({emoji.caption(scene, seed) for seed in range(50)}) > 10


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("a red heart to the left of a fox", ["1 x red heart", "1 x fox", "red heart left of fox", "nothing else"]),
        ("A photo of Two small Cats on grey.", ["gray background", "2 x small cat", "nothing else"]),
        ("3 slices of pizza, pink background", ["pink background", "3 x pizza", "nothing else"]),
        ("fox, car and a house", ["1 x fox", "1 x car", "1 x house", "nothing else"]),
        ("a kitty under a big blue disc", ["1 x cat", "1 x large blue circle", "cat below blue circle", "nothing else"]),
    ],
)  # fmt: skip
def test_expected(text: str, requirements: list[str]) -> None:
    assert [str(r) for r in emoji.expected(text)] == requirements


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("a zebra", "a zebra"),
        ("a fox and", "and"),
        ("a fox and a unicorn", "a unicorn"),
        ("a pine apple", "apple"),
        ("two foxes flying", "flying"),
        ("a heart", "needs a colour"),
        ("a red fox", "one colour only"),
        ("", "''"),
    ],
)
def test_an_unknown_word_is_an_error_that_quotes_it(text: str, quoted: str) -> None:
    with pytest.raises(ClipcondError, match=quoted):
        emoji.expected(text)


@pytest.mark.parametrize("split", ["held_out", "train"])
def test_tasks_are_a_hundred_prompts_that_the_oracle_understands(split: str) -> None:
    found = emoji.tasks(split=split)
    assert set(found) == {
        "single object",
        "two objects",
        "counting",
        "colors",
        "position",
        "color attribution",
    }
    assert sha256(str(found).encode()).hexdigest()[:16] == TASKS[split]
    for name, prompts in found.items():
        assert len(set(prompts)) >= 100
        requirements = [emoji.expected(prompt) for prompt in prompts]
        if name == "position":
            assert all(any(isinstance(r, Relation) for r in found) for found in requirements)
