"""What the emoji world is made of: literal tables, nothing else (most nouns are in `nouns.py`).

Distances are in *units*: a picture is always 32 units wide and high, whatever its pixels. Everything stands on a grid
of 4 units: one phase of each sprite to the 4 x 4 patches of a code, instead of sixteen, is what a small network learns
in an hour.
"""

from dataclasses import dataclass, field
from functools import cached_property

from clipcond.emoji.nouns import MORE_NOUNS

UNITS = 32
GRID = 4

BACKGROUNDS: dict[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "gray": (158, 158, 158),
    "pink": (255, 168, 200),
    "cyan": (128, 222, 238),
    "mint": (168, 236, 152),
    "beige": (238, 212, 160),
    "lavender": (190, 168, 242),
    "cream": (255, 255, 196),
    "navy": (30, 44, 92),
    "maroon": (112, 36, 60),
    "teal": (40, 150, 140),
    "plum": (148, 76, 140),
    "slate": (92, 104, 128),
}

# At 8 x 8 pixels a patch and 64 a picture, all three are whole patches.
SIZES: dict[str, int] = {"small": 8, "normal": 12, "large": 16}

# Every noun with the emoji that it is drawn from.
FIRST_NOUNS: dict[str, str] = {
    "fox": "🦊",
    "rocket": "🚀",
    "pizza": "🍕",
    "frog": "🐸",
    "cat": "🐱",
    "tree": "🌲",
    "mushroom": "🍄",
    "car": "🚗",
    "banana": "🍌",
    "penguin": "🐧",
    "octopus": "🐙",
    "sunflower": "🌻",
    "robot": "🤖",
    "guitar": "🎸",
    "pumpkin": "🎃",
    "house": "🏠",
    "pig": "🐷",
    "strawberry": "🍓",
    "star": "⭐",
    "whale": "🐳",
    "dog": "🐶",
    "panda": "🐼",
    "bee": "🐝",
    "butterfly": "🦋",
    "fish": "🐠",
    "turtle": "🐢",
    "apple": "🍎",
    "pineapple": "🍍",
    "watermelon": "🍉",
    "carrot": "🥕",
    "burger": "🍔",
    "cake": "🎂",
    "sailboat": "⛵",
    "airplane": "✈",
    "cactus": "🌵",
    "rose": "🌹",
    "moon": "🌙",
    "crown": "👑",
    "key": "🔑",
    "umbrella": "☂",
}
NOUNS: dict[str, str] = FIRST_NOUNS | {noun: row[0] for noun, row in MORE_NOUNS.items()}
SHAPES: dict[str, dict[str, str]] = {
    "heart": dict(red="❤", yellow="💛", green="💚", blue="💙", purple="💜", black="🖤", orange="🧡", brown="🤎"),
    "circle": dict(red="🔴", yellow="🟡", green="🟢", blue="🔵", purple="🟣", black="⚫", orange="🟠", brown="🟤"),
    "square": dict(red="🟥", yellow="🟨", green="🟩", blue="🟦", purple="🟪", black="⬛", orange="🟧", brown="🟫"),
}  # fmt: skip
COLORS: tuple[str, ...] = tuple(SHAPES["heart"])

# A sprite's name is its noun, or "colour shape": the atlas order follows this table.
SPRITES: dict[str, str] = (
    FIRST_NOUNS
    | {f"{color} {shape}": glyph for shape, row in SHAPES.items() for color, glyph in row.items()}
    | NOUNS
)


def color_and_noun(sprite: str) -> tuple[str | None, str]:
    """`("red", "heart")` of a coloured shape; no colour and the whole name of anything else."""
    color, _, shape = sprite.partition(" ")
    return (color, shape) if shape in SHAPES else (None, sprite)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The part of the world that one model is trained on and may be asked for.

    Attributes:
        nouns: what it knows beside coloured shapes.
        colors: of the shapes.
        looked_for: sprites that its oracle tells apart and its captions may name: those that it draws, or more.
        backgrounds: names of background colours.
        kinds: kinds of scene (`scenes.draw`) and how often each is drawn.
        max_objects: in one picture.
        denied: share of the scenes of one or two kinds of things whose captions name one that is not there.
        sizes: sides of its sprites, in units.
        size: of its pictures, in pixels.
        read_at: pixels to which the oracle averages a picture before it reads it.
    """

    nouns: tuple[str, ...]
    colors: tuple[str, ...]
    looked_for: tuple[str, ...]
    backgrounds: tuple[str, ...]
    kinds: dict[str, float]
    max_objects: int
    size: int
    read_at: int
    denied: float = 0.0
    sizes: dict[str, int] = field(default_factory=lambda: SIZES)

    @cached_property
    def sprites(self) -> tuple[str, ...]:
        """Sprite names that this preset draws."""
        return self.nouns + tuple(f"{color} {shape}" for shape in SHAPES for color in self.colors)


_MEDIUM_NOUNS = (
    "lion", "elephant", "bear", "rabbit", "owl", "snail", "crab", "lemon", "eggplant", "croissant",
    "doughnut", "bus", "castle", "train", "rainbow", "balloon", "gift", "drum", "camera", "bell",
)  # fmt: skip
# "mixed" is a count of one thing beside another
KINDS = {"single": 0.15, "count": 0.17, "pair": 0.33, "mixed": 0.1, "several": 0.25}

PRESETS: dict[str, Preset] = {
    "small": Preset(
        nouns=tuple(FIRST_NOUNS)[:20],
        colors=COLORS[:6],
        looked_for=tuple(SPRITES)[: len(FIRST_NOUNS) + len(SHAPES) * len(COLORS)],
        backgrounds=tuple(BACKGROUNDS)[:7],
        kinds={"single": 0.22, "count": 0.23, "pair": 0.55},
        max_objects=4,
        size=32,
        read_at=32,
        sizes={"small": 9, "normal": 12, "large": 16},
    ),
    "medium": Preset(
        nouns=(*FIRST_NOUNS, *_MEDIUM_NOUNS),
        colors=COLORS[:6],
        looked_for=(*FIRST_NOUNS, *tuple(SPRITES)[40:64], *_MEDIUM_NOUNS),
        backgrounds=tuple(BACKGROUNDS)[:7],
        kinds=KINDS,
        max_objects=5,
        size=64,
        read_at=64,
        denied=0.15,
    ),
    "full": Preset(
        nouns=tuple(NOUNS),
        colors=COLORS,
        looked_for=tuple(SPRITES),
        backgrounds=tuple(BACKGROUNDS),
        kinds=KINDS,
        max_objects=5,
        size=128,
        read_at=64,
        denied=0.15,
    ),
}

SHIPPED = "small"  # the preset of the model in weights/, which every default follows
