"""Scene -> caption, with synonyms and varied word order. Every sentence here can be read back by `expected`.

A caption is a phrase; what says as much in many words are sentences (`describe`), up to twice as long as CLIP reads.
"""

from dataclasses import replace

import numpy as np

from clipcond.emoji.nouns import MORE_NOUNS
from clipcond.emoji.scenes import OPPOSITE, Group, Scene, place
from clipcond.emoji.world import color_and_noun

NUMBERS = ("zero", "one", "two", "three", "four", "five")
SYNONYMS: dict[str, tuple[str, ...]] = {
    "fox": ("fox",),
    "tree": ("tree", "pine tree"),
    "car": ("car", "automobile"),
    "pizza": ("pizza", "slice of pizza"),
    "house": ("house", "home"),
    "pig": ("pig", "piglet"),
    "cat": ("cat", "kitty"),
    "dog": ("dog", "puppy"),
    "burger": ("burger", "hamburger"),
    "sailboat": ("sailboat", "boat"),
    "airplane": ("airplane", "plane"),
    "gray": ("gray", "grey"),
    "circle": ("circle", "disc"),
    "small": ("small", "little", "tiny"),
    "large": ("large", "big", "huge"),
    "left of": ("to the left of", "left of", "on the left of"),
    "right of": ("to the right of", "right of", "on the right of"),
    "above": ("above", "over", "on top of"),
    "below": ("below", "under", "beneath"),
    "upper left": ("in the upper left corner", "in the upper left", "at the top left"),
    "upper right": ("in the upper right corner", "in the upper right", "at the top right"),
    "lower left": ("in the lower left corner", "in the lower left", "at the bottom left"),
    "lower right": ("in the lower right corner", "in the lower right", "at the bottom right"),
} | {noun: (noun, *others) for noun, (_, *others) in MORE_NOUNS.items()}
IRREGULAR_PLURALS = {
    "slice of pizza": "slices of pizza", "strawberry": "strawberries", "kitty": "kitties",
    "puppy": "puppies", "butterfly": "butterflies", "fish": "fish", "cactus": "cacti",
    "octopus": "octopuses", "fox": "foxes", "watermelon": "watermelons",
    "wolf": "wolves", "sheep": "sheep", "deer": "deer", "mouse": "mice", "bunny": "bunnies",
    "rhinoceros": "rhinoceroses", "hippopotamus": "hippopotamuses", "brontosaurus": "brontosauruses",
    "maple leaf": "maple leaves", "mango": "mangoes",
    "peach": "peaches", "ear of corn": "ears of corn", "candy": "candies",
    "wine glass": "wine glasses", "bus": "buses", "volcano": "volcanoes", "church": "churches",
    "factory": "factories", "trophy": "trophies", "teddy": "teddies", "scarf": "scarves",
    "dress": "dresses", "mailbox": "mailboxes", "paintbrush": "paintbrushes",
    "wrench": "wrenches", "couch": "couches", "sax": "saxes",
}  # fmt: skip
OPENINGS = ("a picture of", "an image of", "a photo of", "a drawing of")
JOINERS = ("and", "with", "next to", "beside")
_ENDINGS = (" on a {} background", " on {}", ", {} background", " against a {} background")
_BACKGROUNDS = ("the background is plain {}", "everything stands on a plain {} background")
DENIALS = ("and no", "but no", "without a")
# What long captions say beside it all, in no particular place.
FILLERS = (
    "this picture shows a few simple things that stand apart from each other",
    "nothing else can be seen anywhere in this picture",
    "everything is drawn in a simple and friendly style with clear lines",
    "the whole picture is bright and easy to look at",
    "each of these things stands all by itself and touches none of the others",
)
_OPENING, _BACKGROUND, _RELATION, _PLACES, _DIGIT, _COMMON = 0.2, 0.7, 0.5, 0.4, 0.15, 0.6
_OPEN_SIZE = 0.3


def plural(noun: str) -> str:
    """The plural of a noun of this world."""
    return IRREGULAR_PLURALS.get(noun, noun + "s")


def synonym(word: str, rng: np.random.Generator) -> str:
    """The word itself most of the time, else one of the others that mean the same."""
    words = SYNONYMS.get(word, (word,))
    return words[0] if len(words) == 1 or rng.random() < _COMMON else str(rng.choice(words[1:]))


def noun_phrase(group: Group, rng: np.random.Generator) -> str:
    """`a fox`, `two small red hearts`, `3 big circles`..."""
    color, noun = color_and_noun(group.sprite)
    noun = synonym(noun, rng)
    words = [synonym(group.size, rng)] if group.size in ("small", "large") else []
    words += [color] if color else []
    words.append(noun if group.count == 1 else plural(noun))
    if group.count > 1:
        number = str(group.count) if rng.random() < _DIGIT else NUMBERS[group.count]
    else:
        number = "one" if rng.random() < 0.1 else indefinite(words[0])
    return " ".join([number, *words])


def indefinite(phrase: str) -> str:
    """`a` or `an`, as the phrase asks."""
    return "an" if phrase[0] in "aeiou" else "a"


def caption(scene: Scene, seed: int) -> str:
    """Describe a scene in one English phrase; another seed says the same in other words.

    The size of a lone thing is left open now and then: to a reader who always hears of sizes, `a fox` is a normal one.
    """
    rng = np.random.default_rng(seed)
    with_relation, with_background, with_places = rng.random(3) < (_RELATION, _BACKGROUND, _PLACES)
    open_size = len(scene.items) == 1 and rng.random() < _OPEN_SIZE
    return compose(
        scene,
        rng,
        with_relation=bool(with_relation),
        with_background=bool(with_background),
        with_places=bool(with_places),
        with_sizes=not open_size,
    )


def compose(
    scene: Scene,
    rng: np.random.Generator,
    *,
    with_relation: bool,
    with_background: bool,
    with_places: bool = False,
    with_sizes: bool = True,
) -> str:
    """One phrase that mentions the relations, of several things the places instead, and the background, where there are any."""
    if len(scene.groups) > 2:
        text = _several(scene, rng, with_relation=with_relation, with_places=with_places)
    else:
        groups = [group if with_sizes else replace(group, size=None) for group in scene.groups]
        text = _one_or_two(groups, scene.relation if with_relation else None, rng)
    if scene.absent:
        text += f" {denial(scene.absent, rng)}"
    if rng.random() < _OPENING:
        text = f"{rng.choice(OPENINGS)} {text}"
    if with_background and isinstance(scene.background, str):
        name = synonym(scene.background, rng)
        text += str(rng.choice(_ENDINGS, p=(0.55, 0.15, 0.15, 0.15))).format(name)
    return text


def _one_or_two(groups: list[Group], relation: str | None, rng: np.random.Generator) -> str:
    if len(groups) == 2 and rng.random() < 0.5:
        groups.reverse()
        relation = OPPOSITE[relation] if relation else None
    phrases = [noun_phrase(group, rng) for group in groups]
    joiner = synonym(relation, rng) if relation else str(rng.choice(JOINERS))
    return f" {joiner} ".join(phrases)


def _several(
    scene: Scene, rng: np.random.Generator, *, with_relation: bool, with_places: bool
) -> str:
    """Three or four things: listed, each with its place, or one with its relations to two others."""
    groups = {group.sprite: group for group in scene.groups}
    if with_relation and not with_places and len(groups) == 3 and (about := corner(scene)):
        sprite, relations = about
        first, second = [relations[int(i)] for i in rng.permutation(2)]
        said = [
            f"{synonym(kind, rng)} {noun_phrase(groups[other], rng)}"
            for kind, other in (first, second)
        ]
        return f"{noun_phrase(groups[sprite], rng)} {said[0]} and {said[1]}"
    phrases = []
    for i in rng.permutation(len(groups)):
        group = list(groups.values())[int(i)]
        where = with_places and _place(scene, group)
        phrase = noun_phrase(group, rng)
        phrases.append(f"{phrase} {synonym(where, rng)}" if where else phrase)
    *listed, last = phrases
    return f"{', '.join(listed)} and {last}"


def corner(scene: Scene) -> tuple[str, list[tuple[str, str]]] | None:
    """Of three things one that plainly stands to both others, and how: [(relation, other)]."""
    for group in scene.groups:
        own = [(kind, other) for one, kind, other in scene.relations if one == group.sprite]
        if len(own) == 2:
            return group.sprite, own
    return None


def _place(scene: Scene, group: Group) -> str | None:
    item = scene.only(group.sprite)
    return place(item) if item else None


def denial(sprite: str, rng: np.random.Generator) -> str:
    """`and no fox`, `without a red heart`..."""
    phrase = _words(sprite, rng)
    form = str(rng.choice(DENIALS))
    return f"without {indefinite(phrase)} {phrase}" if form == "without a" else f"{form} {phrase}"


def _words(sprite: str, rng: np.random.Generator) -> str:
    color, noun = color_and_noun(sprite)
    return " ".join(filter(None, (color, synonym(noun, rng))))


def describe(scene: Scene, rng: np.random.Generator, *, fillers: int) -> str:
    """Sentences in any order: what stands where, the background, what is not there, and some of `FILLERS`."""
    said = [_sentence(scene, group, rng) for group in scene.groups]
    if isinstance(scene.background, str):
        name = synonym(scene.background, rng)
        said.append(str(rng.choice(_BACKGROUNDS)).format(name))
    if scene.absent:
        said.append(f"there is no {_words(scene.absent, rng)} in this picture")
    said += [str(filler) for filler in rng.choice(FILLERS, fillers, replace=False)]
    return ". ".join(str(sentence) for sentence in rng.permutation(said)) + "."


def _sentence(scene: Scene, group: Group, rng: np.random.Generator) -> str:
    phrase, where = noun_phrase(group, rng), _place(scene, group)
    there = "there is" if group.count == 1 else "there are"
    if not where:
        return f"{there} {phrase} in this picture"
    spot = f"{synonym(where, rng)} of the picture"
    return str(rng.choice((f"{spot} {there} {phrase}", f"{there} {phrase} {spot}")))
