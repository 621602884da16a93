"""Draw `clipcond/emoji/atlas.png` from an installed Noto Color Emoji font (Debian: fonts-noto-color-emoji).

    python -m weights.lab.make_atlas [--font /path/to/NotoColorEmoji.ttf]

The atlas is committed, so nobody needs the font to use clipcond. See NOTICE for its licence.
"""

from PIL import Image, ImageDraw, ImageFont

from clipcond.emoji.render import ATLAS_COLUMNS, CELL
from clipcond.emoji.world import SPRITES
from weights.lab import reports

ATLAS = reports.ROOT / "clipcond" / "emoji" / "atlas.png"
BITMAP_SIZE = 109  # the only size of the font's colour bitmaps


def draw(glyph: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """One emoji, trimmed to its ink and centred in a square cell."""
    canvas = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(canvas).text((12, 12), glyph, font=font, embedded_color=True)
    box = canvas.getbbox()
    if box is None:
        raise SystemExit(f"the font has no glyph for {glyph!r}")
    ink = canvas.crop(box)
    side = max(ink.size)
    square = Image.new("RGBA", (side, side))
    square.paste(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
    return square.resize((CELL, CELL), Image.Resampling.LANCZOS)


def main() -> None:
    """Draw every sprite and write the atlas."""
    parser = reports.parser(__doc__)
    parser.add_argument("--font", default="/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    font = ImageFont.truetype(parser.parse_args().font, BITMAP_SIZE)
    rows = -(-len(SPRITES) // ATLAS_COLUMNS)
    atlas = Image.new("RGBA", (ATLAS_COLUMNS * CELL, rows * CELL))
    for i, glyph in enumerate(SPRITES.values()):
        atlas.paste(draw(glyph, font), (i % ATLAS_COLUMNS * CELL, i // ATLAS_COLUMNS * CELL))
    atlas.save(ATLAS, optimize=True)
    print(f"{ATLAS}: {len(SPRITES)} sprites")


if __name__ == "__main__":
    main()
