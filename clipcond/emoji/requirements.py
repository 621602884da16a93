"""Caption -> what a picture must show, and the verdict on a picture.

`expected` reads the English of `captions.py`: phrases of a number, a size, a colour and a noun, joined by `and` or a
relation, with an optional background. A word that it does not know is an error: it never judges half a prompt.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from clipcond.emoji.captions import JOINERS, NUMBERS, OPENINGS, SYNONYMS, plural
from clipcond.emoji.oracle import Reading, read
from clipcond.emoji.scenes import Group, Item, Scene, relation
from clipcond.emoji.world import COLORS, PRESETS, SHAPES, SHIPPED, SIZES, color_and_noun
from clipcond.errors import ClipcondError

_SIZE_NAMES = {units: name for name, units in SIZES.items()}


def counted(count: int, sprite: str) -> str:
    """`1 red heart`, `2 red hearts`."""
    return f"{count} {sprite if count == 1 else _plural_of(sprite)}"


def _article(sprite: str) -> str:
    return "an" if sprite[0] in "aeiou" else "a"


def _plural_of(sprite: str) -> str:
    color, noun = color_and_noun(sprite)
    return " ".join(filter(None, (color, plural(noun))))


@dataclass(frozen=True, slots=True)
class Background:
    """The background has this name."""

    name: str

    def __str__(self) -> str:
        return f"{self.name} background"

    def holds(self, reading: Reading) -> bool:
        """Whether a reading meets it."""
        return reading.background == self.name

    def lack(self, reading: Reading) -> str:
        """What stands in the way of a reading that does not meet it, in words."""
        if reading.background is None:
            return f"no {self.name} background"
        return f"the background is {reading.background}, not {self.name}"


@dataclass(frozen=True, slots=True)
class Count:
    """Exactly this many of a sprite, all of its size if it names one."""

    group: Group

    def __str__(self) -> str:
        size = f"{self.group.size} " if self.group.size else ""
        return f"{self.group.count} x {size}{self.group.sprite}"

    def holds(self, reading: Reading) -> bool:
        """Whether a reading meets it."""
        found = self._found(reading)
        right = [item for item in found if self.group.size in (None, _SIZE_NAMES[item.size])]
        return len(found) == len(right) == self.group.count

    def lack(self, reading: Reading) -> str:
        """What stands in the way of a reading that does not meet it, in words."""
        found, sprite = self._found(reading), self.group.sprite
        if not found:
            return f"no {sprite} found"
        if len(found) != self.group.count:
            return f"{counted(len(found), sprite)} instead of {self.group.count}"
        if len(found) > 1:
            return f"not all {_plural_of(sprite)} are {self.group.size}"
        return f"the {sprite} is {_SIZE_NAMES[found[0].size]}, not {self.group.size}"

    def _found(self, reading: Reading) -> list[Item]:
        return [item for item in reading.items if item.sprite == self.group.sprite]


@dataclass(frozen=True, slots=True)
class Relation:
    """One sprite stands so to another."""

    subject: str
    kind: str
    object: str

    def __str__(self) -> str:
        return f"{self.subject} {self.kind} {self.object}"

    def holds(self, reading: Reading) -> bool:
        """Whether a reading meets it."""
        subject, other = (self._only(reading, name) for name in (self.subject, self.object))
        return subject is not None and other is not None and relation(subject, other) == self.kind

    def lack(self, reading: Reading) -> str:
        """What stands in the way of a reading that does not meet it, in words."""
        subject, other = (self._only(reading, name) for name in (self.subject, self.object))
        if subject is None or other is None:
            return f"no {self.subject} {self.kind} {_article(self.object)} {self.object}"
        stands = relation(subject, other)
        if stands is None:
            return f"the {self.subject} is not plainly {self.kind} the {self.object}"
        return f"the {self.subject} is {stands} the {self.object}, not {self.kind} it"

    @staticmethod
    def _only(reading: Reading, name: str) -> Item | None:
        found = [item for item in reading.items if item.sprite == name]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class NothingElse:
    """No sprite but these, no doubtful shape, and no smear that nothing explains."""

    sprites: frozenset[str]

    def __str__(self) -> str:
        return "nothing else"

    def holds(self, reading: Reading) -> bool:
        """Whether a reading meets it."""
        strangers = [item for item in reading.items if item.sprite not in self.sprites]
        return not strangers and not reading.doubtful and reading.clean

    def lack(self, reading: Reading) -> str:
        """What stands in the way of a reading that does not meet it, in words."""
        counts = Counter(item.sprite for item in reading.items if item.sprite not in self.sprites)
        found = [counted(count, sprite) for sprite, count in counts.items()]
        found += [f"a doubtful {item.sprite}" for item in reading.doubtful]
        found += [] if found or reading.clean else ["something that is no sprite"]
        return f"also {', '.join(found)}"


Requirement = Background | Count | Relation | NothingElse


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was asked and whether the picture shows it; true when it shows all of it.

    Attributes:
        items: what was asked, and whether it is shown.
        reading: what the picture shows.
    """

    items: tuple[tuple[Requirement, bool], ...]
    reading: Reading

    def __bool__(self) -> bool:
        return all(passed for _, passed in self.items)

    @property
    def missed(self) -> tuple[Requirement, ...]:
        """What the picture fails to show."""
        return tuple(requirement for requirement, passed in self.items if not passed)

    @property
    def lacks(self) -> tuple[str, ...]:
        """The same in words: "no fox found", "2 red hearts instead of 3"."""
        return tuple(requirement.lack(self.reading) for requirement in self.missed)


def check(
    image: Image.Image | np.ndarray, requirements: tuple[Requirement, ...], preset: str = SHIPPED
) -> Verdict:
    """Judge a square picture of a preset's world against requirements from `expected`."""
    reading = read(image, preset)
    items = tuple((requirement, requirement.holds(reading)) for requirement in requirements)
    return Verdict(items, reading)


def verdicts(
    images: Iterable[Image.Image | np.ndarray], what: str | Scene, preset: str = SHIPPED
) -> tuple[Verdict, ...]:
    """Judge pictures of one caption or scene.

    Raises:
        ClipcondError: a word is not of this world; the message quotes it.
    """
    requirements = expected(what, preset)
    return tuple(check(image, requirements, preset) for image in images)


def expected(what: str | Scene, preset: str = SHIPPED) -> tuple[Requirement, ...]:
    """What a picture of a caption, or of a scene, must show.

    Args:
        what: a caption in the preset's words, or a scene.
        preset: whose words.

    Raises:
        ClipcondError: a word is not of this world; the message quotes it.
    """
    return _of_scene(what) if isinstance(what, Scene) else _of_text(what, _grammar(preset))


def _of_scene(scene: Scene) -> tuple[Requirement, ...]:
    groups = scene.groups
    found: list[Requirement] = (
        [Background(scene.background)] if isinstance(scene.background, str) else []
    )
    found += [Count(group) for group in groups]
    if scene.relation:
        found.append(Relation(groups[0].sprite, scene.relation, groups[1].sprite))
    return (*found, NothingElse(frozenset(group.sprite for group in groups)))


def _words_of(names: Iterable[str]) -> dict[str, str]:
    return {word: name for name in names for word in SYNONYMS.get(name, (name,))}


_RELATIONS = _words_of(("left of", "right of", "above", "below"))
_SIZE_WORDS = _words_of(("small", "large")) | {"normal": "normal"}
_NUMBERS = (
    {"a": 1, "an": 1}
    | {w: n for n, w in enumerate(NUMBERS) if n}
    | {str(n): n for n in range(1, 5)}
)


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_JOIN = re.compile(
    rf" (?:(?P<relation>{_alternatives(_RELATIONS)})|{_alternatives(JOINERS)}) |, (?:and )?"
)
_OPENING = re.compile(rf"^(?:{_alternatives(OPENINGS)}) ")


@dataclass(frozen=True, slots=True)
class _Grammar:
    """What depends on a preset's words: {word: noun}, {word: background}, and the patterns made of them."""

    nouns: dict[str, str]
    backgrounds: dict[str, str]
    group: re.Pattern[str]
    ending: re.Pattern[str]


@cache
def _grammar(preset: str) -> _Grammar:
    world = PRESETS[preset]
    singular = _words_of(dict.fromkeys(color_and_noun(name)[1] for name in world.looked_for))
    nouns = singular | {plural(word): name for word, name in singular.items()}
    backgrounds = _words_of(world.backgrounds)
    group = (
        rf"(?:(?P<number>{_alternatives(_NUMBERS)}) )?(?:(?P<size>{_alternatives(_SIZE_WORDS)}) )?"
        rf"(?:(?P<color>{_alternatives(COLORS)}) )?(?P<noun>{_alternatives(nouns)})(?![a-z])"
    )
    ending = (
        rf"(?:,? (?:on|against|with|in front of)(?: an?)?|,) "
        rf"(?P<name>{_alternatives(backgrounds)})(?: background)?$"
    )
    return _Grammar(nouns, backgrounds, re.compile(group), re.compile(ending))


def _of_text(text: str, grammar: _Grammar) -> tuple[Requirement, ...]:
    words = _OPENING.sub("", re.sub(r"\s+", " ", text.lower()).strip(" .,"))
    found: list[Requirement] = []
    if ending := grammar.ending.search(words):
        found.append(Background(grammar.backgrounds[ending["name"]]))
        words = words[: ending.start()]
    groups, relations, at = [], [], 0
    while True:
        match = grammar.group.match(words, at)
        if not match:
            raise ClipcondError(
                f"the emoji world does not understand {words[at:]!r} in {text!r}; it knows phrases such as "
                f"'two small red hearts' or 'a fox left of a car on a pink background'"
            )
        groups.append(_group(match, text, grammar))
        at = match.end()
        if at == len(words):
            break
        join = _JOIN.match(words, at)
        if not join:
            raise ClipcondError(
                f"the emoji world does not understand {words[at:].strip()!r} in {text!r}"
            )
        relations.append(join["relation"])
        at = join.end()
    found += [Count(group) for group in groups]
    found += [
        Relation(groups[i].sprite, _RELATIONS[word], groups[i + 1].sprite)
        for i, word in enumerate(relations)
        if word
    ]
    return (*found, NothingElse(frozenset(group.sprite for group in groups)))


def _group(match: re.Match[str], text: str, grammar: _Grammar) -> Group:
    noun = grammar.nouns[match["noun"]]
    if (noun in SHAPES) != bool(match["color"]):
        hint = "needs a colour" if noun in SHAPES else "comes in one colour only"
        raise ClipcondError(f"in {text!r}: {match[0]!r}: in the emoji world a {noun} {hint}")
    sprite = f"{match['color']} {noun}" if match["color"] else noun
    size = _SIZE_WORDS[match["size"]] if match["size"] else None
    return Group(sprite, _NUMBERS[match["number"]] if match["number"] else 1, size)
