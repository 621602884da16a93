"""Caption -> what a picture must show.

`expected` reads the English of `captions.py`: phrases of a number, a size, a colour and a noun, joined by `and` or a
relation, with a place, what is not there and the background where they are said; or sentences of such. A word that it
does not know is an error: it never judges half a prompt.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from clipcond.emoji.captions import FILLERS, JOINERS, NUMBERS, OPENINGS, SYNONYMS, plural
from clipcond.emoji.requirements import (
    Background,
    Count,
    NothingElse,
    Place,
    Relation,
    Requirement,
    Verdict,
    check,
)
from clipcond.emoji.scenes import Group, Scene, place
from clipcond.emoji.world import COLORS, PRESETS, SHAPES, SHIPPED, color_and_noun
from clipcond.errors import ClipcondError


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
    found = _of_scene(what) if isinstance(what, Scene) else _of_text(what, _grammar(preset))
    named = (each.group.sprite for each in found if isinstance(each, Count) and each.group.count)
    return (*found, NothingElse(frozenset(named)))


def _of_scene(scene: Scene) -> list[Requirement]:
    groups = scene.groups
    found: list[Requirement] = (
        [Background(scene.background)] if isinstance(scene.background, str) else []
    )
    found += [Count(group) for group in groups]
    if scene.relation:
        found.append(Relation(groups[0].sprite, scene.relation, groups[1].sprite))
    if len(groups) > 2:
        lone = (item for item in scene.items if scene.only(item.sprite))
        found += [Place(item.sprite, where) for item in lone if (where := place(item))]
    if scene.absent:
        found.append(Count(Group(scene.absent, 0, None)))
    return found


def _words_of(names: Iterable[str]) -> dict[str, str]:
    return {word: name for name in names for word in SYNONYMS.get(name, (name,))}


_RELATIONS = _words_of(("left of", "right of", "above", "below"))
_PLACES = _words_of(("upper left", "upper right", "lower left", "lower right"))
_SIZE_WORDS = _words_of(("small", "large")) | {"normal": "normal"}
_NUMBERS = (
    {"a": 1, "an": 1}
    | {w: n for n, w in enumerate(NUMBERS) if n}
    | {str(n): n for n in range(1, len(NUMBERS))}
)


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


_JOIN = re.compile(
    rf" (?:(?P<also>and )?(?P<relation>{_alternatives(_RELATIONS)})|{_alternatives(JOINERS)}) |, (?:and )?"
)
_PLACE = re.compile(rf" (?P<place>{_alternatives(_PLACES)})(?= |,|$)")
_OPENING = re.compile(rf"^(?:{_alternatives(OPENINGS)}) ")
_SPOT = rf"(?P<place>{_alternatives(_PLACES)}) of the picture"
_SENTENCES = (
    re.compile(r"there (?:is|are) (?P<denial>no .+) in this picture"),
    re.compile(r"there (?:is|are) (?P<group>.+) in this picture"),
    re.compile(rf"there (?:is|are) (?P<group>.+) {_SPOT}"),
    re.compile(rf"{_SPOT} there (?:is|are) (?P<group>.+)"),
    re.compile(r"the background is plain (?P<background>.+)"),
    re.compile(r"everything stands on a plain (?P<background>.+) background"),
    re.compile(_alternatives(FILLERS)),
)


@dataclass(frozen=True, slots=True)
class _Grammar:
    """What depends on a preset's words: {word: noun}, {word: background}, and the patterns made of them."""

    nouns: dict[str, str]
    backgrounds: dict[str, str]
    group: re.Pattern[str]
    denial: re.Pattern[str]
    ending: re.Pattern[str]


@cache
def _grammar(preset: str) -> _Grammar:
    world = PRESETS[preset]
    singular = _words_of(dict.fromkeys(color_and_noun(name)[1] for name in world.looked_for))
    nouns = singular | {plural(word): name for word, name in singular.items()}
    backgrounds = _words_of(world.backgrounds)
    thing = rf"(?:(?P<color>{_alternatives(COLORS)}) )?(?P<noun>{_alternatives(nouns)})(?![a-z])"
    group = (
        rf"(?:(?P<number>{_alternatives(_NUMBERS)}) )?"
        rf"(?:(?P<size>{_alternatives(_SIZE_WORDS)}) )?{thing}"
    )
    denial = rf"(?:^|,? (?:and |but )?)(?:no|without(?: an?| any)?) {thing}$"
    ending = (
        rf"(?:,? (?:on|against|with|in front of)(?: an?)?|,) "
        rf"(?P<name>{_alternatives(backgrounds)})(?: background)?$"
    )
    return _Grammar(nouns, backgrounds, re.compile(group), re.compile(denial), re.compile(ending))


def _of_text(text: str, grammar: _Grammar) -> list[Requirement]:
    words = _OPENING.sub("", re.sub(r"\s+", " ", text.lower()).strip(" .,"))
    sentences = [(sentence, _sentence(sentence)) for sentence in words.split(". ")]
    if not any(said for _, said in sentences):
        return _of_phrase(words, text, grammar)
    return [
        each for sentence, said in sentences for each in _of_sentence(sentence, said, text, grammar)
    ]


def _sentence(words: str) -> re.Match[str] | None:
    return next(filter(None, (pattern.fullmatch(words) for pattern in _SENTENCES)), None)


def _of_sentence(
    words: str, said: re.Match[str] | None, text: str, grammar: _Grammar
) -> list[Requirement]:
    parts = said.groupdict() if said else {"group": words}
    if "background" in parts and parts["background"] in grammar.backgrounds:
        return [Background(grammar.backgrounds[parts["background"]])]
    if "denial" in parts and (match := grammar.denial.fullmatch(parts["denial"])):
        return [Count(Group(_sprite(match, text, grammar), 0, None))]
    if "group" in parts and (match := grammar.group.fullmatch(parts["group"])):
        group = _group(match, text, grammar)
        where = parts.get("place")
        return [Count(group), *([Place(group.sprite, _PLACES[where])] if where else [])]
    if not parts:
        return []  # one of FILLERS
    raise ClipcondError(f"the emoji world does not understand {words!r} in {text!r}")


def _of_phrase(words: str, text: str, grammar: _Grammar) -> list[Requirement]:
    found: list[Requirement] = []
    if ending := grammar.ending.search(words):
        found.append(Background(grammar.backgrounds[ending["name"]]))
        words = words[: ending.start()]
    denial = grammar.denial.search(words)
    if denial:
        words = words[: denial.start()]
    counts, more = _listed(words, text, grammar)
    found += [*counts, *more]
    if denial:
        found.append(Count(Group(_sprite(denial, text, grammar), 0, None)))
    return found


def _listed(
    words: str, text: str, grammar: _Grammar
) -> tuple[list[Requirement], list[Requirement]]:
    """Things joined by `and` or a relation: their counts; then their relations and places.

    `a fox above a car and left of a tree` is about the fox twice; without the `and` the tree is right of the car.
    """
    groups: list[Requirement] = []
    more: list[Requirement] = []
    at, subject = 0, ""
    join: re.Match[str] | None = None
    while True:
        match = grammar.group.match(words, at)
        if not match:
            raise ClipcondError(
                f"the emoji world does not understand {words[at:]!r} in {text!r}; it knows phrases such as "
                f"'two small red hearts' or 'a fox left of a car on a pink background'"
            )
        group = _group(match, text, grammar)
        groups.append(Count(group))
        if join and join["relation"]:
            more.append(Relation(subject, _RELATIONS[join["relation"]], group.sprite))
        at = match.end()
        if where := _PLACE.match(words, at):
            more.append(Place(group.sprite, _PLACES[where["place"]]))
            at = where.end()
        if at == len(words):
            return groups, more
        before, join = join, _JOIN.match(words, at)
        if not join or (join["also"] and not (before and before["relation"])):
            raise ClipcondError(
                f"the emoji world does not understand {words[at:].strip()!r} in {text!r}"
            )
        if not join["also"]:
            subject = group.sprite
        at = join.end()


def _group(match: re.Match[str], text: str, grammar: _Grammar) -> Group:
    size = _SIZE_WORDS[match["size"]] if match["size"] else None
    count = _NUMBERS[match["number"]] if match["number"] else 1
    return Group(_sprite(match, text, grammar), count, size)


def _sprite(match: re.Match[str], text: str, grammar: _Grammar) -> str:
    noun = grammar.nouns[match["noun"]]
    if (noun in SHAPES) != bool(match["color"]):
        hint = "needs a colour" if noun in SHAPES else "comes in one colour only"
        raise ClipcondError(f"in {text!r}: {match[0]!r}: in the emoji world a {noun} {hint}")
    return f"{match['color']} {noun}" if match["color"] else noun
