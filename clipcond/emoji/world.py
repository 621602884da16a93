"""What the emoji world is made of: literal tables, nothing else.

Distances are in *units*: a picture is always 32 units wide and high, whatever its pixels. Everything stands on a grid
of 4 units: one phase of each sprite to the 4 x 4 patches of a code, instead of sixteen, is what a small network learns
in an hour.
"""

from dataclasses import dataclass
from functools import cached_property

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
}

SIZES: dict[str, int] = {"small": 9, "normal": 12, "large": 16}

# Every sprite of the atlas, in its order, with the emoji that it is drawn from.
NOUNS: dict[str, str] = {
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
SHAPES: dict[str, dict[str, str]] = {
    "heart": dict(red="❤", yellow="💛", green="💚", blue="💙", purple="💜", black="🖤", orange="🧡", brown="🤎"),
    "circle": dict(red="🔴", yellow="🟡", green="🟢", blue="🔵", purple="🟣", black="⚫", orange="🟠", brown="🟤"),
    "square": dict(red="🟥", yellow="🟨", green="🟩", blue="🟦", purple="🟪", black="⬛", orange="🟧", brown="🟫"),
}  # fmt: skip
COLORS: tuple[str, ...] = tuple(SHAPES["heart"])

# A sprite's name is its noun, or "colour shape": the atlas order follows this table.
SPRITES: dict[str, str] = NOUNS | {
    f"{color} {shape}": glyph for shape, row in SHAPES.items() for color, glyph in row.items()
}


@dataclass(frozen=True, kw_only=True)
class Preset:
    """The part of the world that one model is trained on and may be asked for."""

    nouns: tuple[str, ...]
    colors: tuple[str, ...]
    max_objects: int
    size: int  # pixels

    @cached_property
    def sprites(self) -> tuple[str, ...]:
        """Sprite names that this preset draws."""
        return self.nouns + tuple(f"{color} {shape}" for shape in SHAPES for color in self.colors)


PRESETS: dict[str, Preset] = {
    "small": Preset(nouns=tuple(NOUNS)[:20], colors=COLORS[:6], max_objects=4, size=32),
    "full": Preset(nouns=tuple(NOUNS), colors=COLORS, max_objects=4, size=64),
}
