"""Zero-shot accuracy on the same emoji in a drawing style that training never saw: OpenMoji (CC BY-SA 4.0).

    npm pack openmoji && tar xzf openmoji-*.tgz        # its pictures are measured with, never shipped
    python -m weights.lab.measure.openmoji --folder package/color/svg [--json FILE]

Reads color/72x72/*.png of OpenMoji's releases, or color/svg/*.svg of the npm package (which takes
`pip install cairosvg`). Every noun that the shipped model knows is drawn on every background in two sizes and two
places, and named among all of them; the same pictures from the world's own sprites stand beside it. Intervals are
over nouns, since pictures of one noun are not independent.
"""

import io
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from clipcond import ClipScorer, emoji
from clipcond.emoji.world import BACKGROUNDS, NOUNS, PRESETS, SHIPPED, UNITS
from clipcond.score import build_classifier, confusion_of, interval
from weights.lab import reports
from weights.lab.reports import Json

PLACES = {"normal": ((4, 8), (16, 12)), "large": ((4, 4), (12, 8))}
_DRAWN = 288  # pixels that an SVG is drawn with before it is made small


def file_of(glyph: str, folder: Path) -> Path:
    """The picture of an emoji: named by code points, with or without the variation selector."""
    points = [f"{ord(c):04X}" for c in glyph]
    names = [
        "-".join(points),
        "-".join(p for p in points if p != "FE0F"),
        "-".join([*points, "FE0F"]),
    ]
    for name in names:
        for ending in (".png", ".svg"):
            if (folder / (name + ending)).is_file():
                return folder / (name + ending)
    raise SystemExit(
        f"{folder}: has no {names[0]}.png or .svg ({glyph}); name OpenMoji's color/72x72 or color/svg"
    )


def drawing(file: Path) -> Image.Image:
    """An emoji with its transparency, trimmed to its ink and centred in a square, as the world's own sprites are."""
    if file.suffix == ".png":
        drawn = Image.open(file).convert("RGBA")
    else:
        import cairosvg

        svg = cairosvg.svg2png(url=str(file), output_width=_DRAWN, output_height=_DRAWN)
        drawn = Image.open(io.BytesIO(svg)).convert("RGBA")
    ink = drawn.crop(drawn.getchannel("A").getbbox())
    side = max(ink.size)
    square = Image.new("RGBA", (side, side))
    square.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    return square


def openmoji(drawn: Image.Image, scene: emoji.Scene, pixels: int = UNITS) -> Image.Image:
    """The scene's one item drawn with an OpenMoji picture in place of its sprite."""
    (item,) = scene.items
    picture = Image.new("RGB", (pixels, pixels), BACKGROUNDS[str(scene.background)])
    x, y, side = (v * pixels // UNITS for v in (item.x, item.y, item.size))
    small = drawn.resize((side, side), Image.Resampling.LANCZOS)
    picture.paste(small, (x, y), small)
    return picture


def scenes(name: str, preset: str = SHIPPED) -> list[emoji.Scene]:
    """One noun on every background, in two sizes and two places."""
    return [
        emoji.Scene(background, (emoji.Item(name, x, y, PRESETS[preset].sizes[size]),))
        for background in PRESETS[preset].backgrounds
        for size, places in PLACES.items()
        for x, y in places
    ]


def accuracy(scorer: ClipScorer, pictures: dict[str, list[Image.Image]]) -> Json:
    """How often the noun is named, overall and by noun, and the commonest mistakes."""
    names = list(pictures)
    truth = [name for name, own in pictures.items() for _ in own]
    images = [image for own in pictures.values() for image in own]
    found = build_classifier(names, scorer).classify(images, scorer).argmax(1).tolist()
    answers = [names[i] for i in found]
    table = confusion_of(truth, answers, names)
    wrong = Counter(pair for pair in zip(truth, answers, strict=True) if pair[0] != pair[1])
    right = np.array(truth) == np.array(answers)
    return {
        "top1": interval(right.astype(float), truth).as_dict(),
        "recall": {row["class"]: row["recall"] for row in table.per_class()},
        "mistakes": [
            {"true": a, "answered": b, "pictures": count} for (a, b), count in wrong.most_common(8)
        ],
    }


def measure(folder: Path, scorers: dict[str, Path], preset: str) -> Json:
    """The whole report."""
    names, pixels = PRESETS[preset].nouns, PRESETS[preset].size
    shown = {name: scenes(name, preset) for name in names}
    drawn = {name: drawing(file_of(NOUNS[name], folder)) for name in names}
    sets = {
        "openmoji": {
            name: [openmoji(drawn[name], s, pixels) for s in own] for name, own in shown.items()
        },
        "own sprites": {
            name: [emoji.render(s, pixels) for s in own] for name, own in shown.items()
        },
    }
    report: Json = {"classes": len(names), "chance": 1 / len(names)}
    for name, place in scorers.items():
        scorer = ClipScorer.from_pretrained(place)
        report[name] = {style: accuracy(scorer, pictures) for style, pictures in sets.items()}
        report[name]["weights_sha256"] = scorer.provenance["weights_sha256"]
    return report


def main() -> None:
    """Measure and print."""
    parser = reports.parser(__doc__, "model", "judge", "preset", "json")
    parser.add_argument(
        "--folder", type=Path, required=True, help="OpenMoji's color/72x72 or color/svg"
    )
    args = parser.parse_args()
    scorers = {"clip": args.model, "judge": args.judge}
    reports.write(measure(args.folder, scorers, args.preset), args.json)


if __name__ == "__main__":
    main()
