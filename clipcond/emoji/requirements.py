"""What a picture must show, and the verdict on a picture."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from PIL import Image

from clipcond.emoji.captions import indefinite, plural
from clipcond.emoji.oracle import Reading, read
from clipcond.emoji.scenes import SIZE_NAMES, Group, Item, place, relation
from clipcond.emoji.world import SHIPPED, color_and_noun


def counted(count: int, sprite: str) -> str:
    """`1 red heart`, `2 red hearts`."""
    return f"{count} {sprite if count == 1 else _plural_of(sprite)}"


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
    """Exactly this many of a sprite (none: 0), all of its size if it names one."""

    group: Group

    def __str__(self) -> str:
        size = f"{self.group.size} " if self.group.size else ""
        return f"{self.group.count} x {size}{self.group.sprite}"

    def holds(self, reading: Reading) -> bool:
        """Whether a reading meets it."""
        found = self._found(reading)
        right = [item for item in found if self.group.size in (None, SIZE_NAMES[item.size])]
        return len(found) == len(right) == self.group.count

    def lack(self, reading: Reading) -> str:
        """What stands in the way of a reading that does not meet it, in words."""
        found, sprite = self._found(reading), self.group.sprite
        if not found:
            return f"no {sprite} found"
        if len(found) != self.group.count:
            return f"{counted(len(found), sprite)} instead of {self.group.count or 'none'}"
        if len(found) > 1:
            return f"not all {_plural_of(sprite)} are {self.group.size}"
        return f"the {sprite} is {SIZE_NAMES[found[0].size]}, not {self.group.size}"

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
        subject, other = (_only(reading, name) for name in (self.subject, self.object))
        return subject is not None and other is not None and relation(subject, other) == self.kind

    def lack(self, reading: Reading) -> str:
        """What stands in the way of a reading that does not meet it, in words."""
        subject, other = (_only(reading, name) for name in (self.subject, self.object))
        if subject is None or other is None:
            return f"no {self.subject} {self.kind} {indefinite(self.object)} {self.object}"
        stands = relation(subject, other)
        if stands is None:
            return f"the {self.subject} is not plainly {self.kind} the {self.object}"
        return f"the {self.subject} is {stands} the {self.object}, not {self.kind} it"


@dataclass(frozen=True, slots=True)
class Place:
    """One sprite stands in this quarter of the picture."""

    sprite: str
    where: str

    def __str__(self) -> str:
        return f"{self.sprite} in the {self.where}"

    def holds(self, reading: Reading) -> bool:
        """Whether a reading meets it."""
        item = _only(reading, self.sprite)
        return item is not None and place(item) == self.where

    def lack(self, reading: Reading) -> str:
        """What stands in the way of a reading that does not meet it, in words."""
        item = _only(reading, self.sprite)
        if item is None:
            return f"no {self.sprite} in the {self.where}"
        where = place(item)
        if where is None:
            return f"the {self.sprite} is not plainly in the {self.where}"
        return f"the {self.sprite} is in the {where}, not in the {self.where}"


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


Requirement = Background | Count | Relation | Place | NothingElse


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
