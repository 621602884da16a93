"""Check the table of nouns: words against Unicode CLDR's annotations, sprites against each other and the backgrounds.

    npm pack cldr-annotations-full && tar xzf cldr-annotations-full-*.tgz     # 48.2.0, read here and never shipped
    python -m weights.lab.check_nouns --annotations package/annotations/en/annotations.json

Fails where a word is no name or keyword of its emoji and not made of such words; prints the sprites that are most
alike and those that stand out least, at the smallest size that the oracle reads, so that a look at them can decide.
"""

import json
from itertools import combinations
from pathlib import Path

import torch

from clipcond.emoji.matching import on_background
from clipcond.emoji.nouns import MORE_NOUNS
from clipcond.emoji.world import PRESETS
from weights.lab import reports

SHOWN = 12


def strange_words(annotations: dict[str, dict[str, list[str]]]) -> list[str]:
    """Words of the table that CLDR does not have for their emoji."""
    strange = []
    for noun, (glyph, *others) in MORE_NOUNS.items():
        row = annotations.get(glyph) or annotations[glyph + "\ufe0f"]
        known = {phrase.lower() for phrase in (*row["default"], *row["tts"])}
        parts = set(" ".join(known).replace("-", " ").split())
        strange += [
            f"{word} ({glyph})"
            for word in (noun, *others)
            if word not in known and not set(word.split()) <= parts
        ]
    return strange


def faintest(preset: str) -> list[tuple[float, str, str]]:
    """(energy, sprite, background) of the small sprites that stand out least."""
    found = []
    for background in PRESETS[preset].backgrounds:
        energy = on_background(preset, "small", background).square().sum((1, 2, 3))
        found += [
            (float(e), name, background)
            for e, name in zip(energy, PRESETS[preset].looked_for, strict=True)
        ]
    return sorted(found)[:SHOWN]


def most_alike(preset: str) -> list[tuple[float, str, str]]:
    """(squared difference as a share of the fainter one's energy, sprite, sprite) of the nearest small pairs, on gray."""
    drawn = on_background(preset, "small", "gray").flatten(1)
    energy, apart = drawn.square().sum(1), torch.cdist(drawn, drawn).square()
    share = apart / torch.minimum(energy[:, None], energy[None])
    names = PRESETS[preset].looked_for
    found = [
        (float(share[i, j]), names[i], names[j]) for i, j in combinations(range(len(names)), 2)
    ]
    return sorted(found)[:SHOWN]


def main() -> None:
    """Check and print."""
    parser = reports.parser(__doc__)
    parser.add_argument("--annotations", type=Path, required=True, help="CLDR's annotations.json")
    file = json.loads(parser.parse_args().annotations.read_text())
    strange = strange_words(file["annotations"]["annotations"])
    for title, rows in (("most alike", most_alike("full")), ("faintest", faintest("full"))):
        print(title, *(f"  {value:10.3g} {one}, {other}" for value, one, other in rows), sep="\n")
    if strange:
        raise SystemExit(f"not in CLDR's annotations: {', '.join(strange)}")


if __name__ == "__main__":
    main()
