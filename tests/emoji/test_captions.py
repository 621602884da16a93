"""Captions say what the scene shows, and are read back as that."""

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcond import emoji
from clipcond.emoji.captions import FILLERS, SYNONYMS, compose, describe, plural
from clipcond.emoji.requirements import Count, NothingElse, Place, Relation
from clipcond.emoji.scenes import place
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
            return (subject, kind, other) in scene.relations
        case Place(sprite, where):
            item = scene.only(sprite)
            return item is not None and place(item) == where
        case _:
            return requirement in truths


@given(SEEDS, SEEDS, st.sampled_from(["small", "medium", "full"]))
def test_every_caption_reads_back_as_its_scene(seed: int, words: int, preset: str) -> None:
    scene = emoji.sample(seed, preset)
    reads_back(emoji.caption(scene, words), scene, preset)


@given(SEEDS, SEEDS, st.integers(0, len(FILLERS)))
def test_every_description_reads_back_as_its_scene(seed: int, words: int, fillers: int) -> None:
    scene = emoji.sample(seed, "medium")
    text = describe(scene, np.random.default_rng(words), fillers=fillers)
    reads_back(text, scene, "medium")
    placed = [item for item in scene.items if scene.only(item.sprite) and place(item)]
    said = emoji.expected(text, "medium")
    assert sum(isinstance(r, Place) for r in said) == len(placed)


def reads_back(text: str, scene: emoji.Scene, preset: str) -> None:
    found = emoji.expected(text, preset)
    assert all(implies(scene, requirement) for requirement in found)
    counted = [r.group for r in found if isinstance(r, Count)]
    assert sum(group.count > 0 for group in counted) == len(scene.groups)
    assert [group.sprite for group in counted if not group.count] == [
        *filter(None, (scene.absent,))
    ]
    assert isinstance(found[-1], NothingElse)
    assert found[-1].sprites == {group.sprite for group in scene.groups}


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
        ("a fox left of a car and above a house", ["1 x fox", "1 x car", "1 x house", "fox left of car", "fox above house", "nothing else"]),
        ("a fox left of a car above a house", ["1 x fox", "1 x car", "1 x house", "fox left of car", "car above house", "nothing else"]),
        ("a fox at the top left, a pig and two cats", ["1 x fox", "1 x pig", "2 x cat", "fox in the upper left", "nothing else"]),
        ("five foxes but no red heart on mint", ["mint background", "5 x fox", "0 x red heart", "nothing else"]),
        ("a pig, no foxes", ["1 x pig", "0 x fox", "nothing else"]),
        ("there is a fox at the top left of the picture. The background is plain mint.  There are no pigs in this picture.",
         ["1 x fox", "fox in the upper left", "mint background", "0 x pig", "nothing else"]),
        ("A fox. Everything stands on a plain grey background", ["1 x fox", "gray background", "nothing else"]),
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
        ("a fox and above a house", "and above a house"),
        ("a fox and no zebra", "no zebra"),
        ("there is a zebra in this picture", "a zebra"),
        ("a fox. the background is plain zebra", "plain zebra"),
        ("there is no heart in this picture", "needs a colour"),
        ("two foxes flying. the background is plain mint", "two foxes flying"),
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


def test_the_medium_world_has_tasks_with_room() -> None:
    found = emoji.tasks("medium")
    assert set(emoji.tasks()) | {
        "three objects",
        "four objects",
        "two relations",
        "color attribution among three",
        "counting beside another",
        "negation",
        "beyond 77 tokens",
    } == set(found)
    asked = {
        name: [emoji.expected(prompt, "medium") for prompt in prompts]
        for name, prompts in found.items()
    }
    assert len(found["negation"]) == 100

    def each(name: str, kind: type, count: int) -> bool:
        return all(sum(isinstance(r, kind) for r in one) == count for one in asked[name])

    assert each("three objects", Count, 3)
    assert each("four objects", Count, 4)
    assert each("two relations", Relation, 2)
    assert each("beyond 77 tokens", Place, 4)
    assert all("0 x " in str([str(r) for r in one]) for one in asked["negation"])
    assert not any("0 x " in str([str(r) for r in one]) for one in asked["two objects"])
    assert all(len(prompt.split()) >= 77 for prompt in found["beyond 77 tokens"])
