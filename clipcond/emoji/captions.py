"""Scene -> caption, with synonyms and varied word order. Every sentence here can be read back by `expected`."""

import numpy as np

from clipcond.emoji.nouns import MORE_NOUNS
from clipcond.emoji.scenes import OPPOSITE, Group, Scene
from clipcond.emoji.world import color_and_noun

NUMBERS = ("zero", "one", "two", "three", "four")
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
_OPENING, _BACKGROUND, _RELATION, _DIGIT, _COMMON = 0.2, 0.7, 0.5, 0.15, 0.6


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
        number = "one" if rng.random() < 0.1 else "an" if words[0][0] in "aeiou" else "a"
    return " ".join([number, *words])


def caption(scene: Scene, seed: int) -> str:
    """Describe a scene in one English phrase; another seed says the same in other words."""
    rng = np.random.default_rng(seed)
    with_relation, with_background = rng.random(2) < (_RELATION, _BACKGROUND)
    return compose(
        scene, rng, with_relation=bool(with_relation), with_background=bool(with_background)
    )


def compose(
    scene: Scene, rng: np.random.Generator, *, with_relation: bool, with_background: bool
) -> str:
    """A caption that mentions the relation and the background, where there is one, or leaves them out."""
    groups = list(scene.groups)
    relation = scene.relation if with_relation else None
    if len(groups) == 2 and rng.random() < 0.5:
        groups.reverse()
        relation = OPPOSITE[relation] if relation else None
    phrases = [noun_phrase(group, rng) for group in groups]
    if len(groups) > 2:
        phrases, joiner = [str(phrase) for phrase in rng.permutation(phrases)], "and"
    else:
        joiner = synonym(relation, rng) if relation else str(rng.choice(JOINERS))
    *listed, last = phrases
    text = f"{', '.join(listed)} {joiner} {last}" if listed else last
    if rng.random() < _OPENING:
        text = f"{rng.choice(OPENINGS)} {text}"
    if with_background and isinstance(scene.background, str):
        name = synonym(scene.background, rng)
        text += str(rng.choice(_ENDINGS, p=(0.55, 0.15, 0.15, 0.15))).format(name)
    return text
