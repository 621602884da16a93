"""One picture of all pictures: enlarged, each with its caption, the prompt above."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_CELL = 192  # least side of a shown picture, in pixels
_COLUMNS = 4
_GAP = 16
_TITLE, _TEXT = 18, 15  # font sizes in pixels
_LINE = _TEXT + 5
_PAPER, _INK, _FAINT, _FRAME = (250, 250, 248), (30, 30, 34), (105, 105, 112), (222, 222, 218)
_PASSED, _FAILED = (26, 140, 70), (200, 50, 45)
_MAX_HEADER_LINES = 3
_MAX_HEADER = 1000  # characters that are laid out at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Caption:
    """What stands under a picture.

    Attributes:
        title: first line, in full ink.
        detail: second line.
        verdict: third line, after a tick or a cross; "" for none.
        passed: tick or cross.
    """

    title: str
    detail: str
    verdict: str = ""
    passed: bool = False


def draw_grid(
    pictures: Sequence[Image.Image], captions: Sequence[Caption], header: str
) -> Image.Image:
    """Lay pictures out, at most four in a row.

    Args:
        pictures: at least one, RGB; small ones are enlarged to 192 px or more.
        captions: one a picture.
        header: shown above, wrapped and cut to three lines.
    """
    font = ImageFont.load_default(_TITLE)
    shown = [enlarge(picture) for picture in pictures]
    width, height = max(p.width for p in shown), max(p.height for p in shown)
    columns, rows = min(_COLUMNS, len(shown)), math.ceil(len(shown) / _COLUMNS)
    lines = 3 if any(caption.verdict for caption in captions) else 2
    row_height = height + 6 + lines * _LINE + _GAP
    sheet_width = columns * (width + _GAP) + _GAP
    title_lines = _wrapped(header, sheet_width - 2 * _GAP, font)
    top = _GAP + len(title_lines) * (_TITLE + 6) + _GAP // 2
    sheet = Image.new("RGB", (sheet_width, top + rows * row_height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for i, line in enumerate(title_lines):
        draw.text((_GAP, _GAP + i * (_TITLE + 6)), line, _INK, font=font)
    for i, (picture, caption) in enumerate(zip(shown, captions, strict=True)):
        x, y = _GAP + (i % columns) * (width + _GAP), top + (i // columns) * row_height
        # a frame, since a white picture has no edge on paper
        draw.rectangle((x - 1, y - 1, x + picture.width, y + picture.height), outline=_FRAME)
        sheet.paste(picture, (x, y))
        _draw_caption(draw, caption, (x, y + height + 6), width)
    return sheet


def enlarge(picture: Image.Image) -> Image.Image:
    """By the least whole factor that makes the shorter side 192 px, smoothly; larger pictures stay."""
    factor = math.ceil(_CELL / min(picture.size))
    size = (picture.width * factor, picture.height * factor)
    return picture if factor == 1 else picture.resize(size, Image.Resampling.LANCZOS)


def _draw_caption(
    draw: ImageDraw.ImageDraw, caption: Caption, place: tuple[int, int], width: int
) -> None:
    font = ImageFont.load_default(_TEXT)
    x, y = place
    draw.text((x, y), _fitted(caption.title, width, font), _INK, font=font)
    draw.text((x, y + _LINE), _fitted(caption.detail, width, font), _FAINT, font=font)
    if caption.verdict:
        _draw_mark(draw, (x, y + 2 * _LINE + 3), passed=caption.passed)
        text = _fitted(caption.verdict, width - 20, font)
        ink = _PASSED if caption.passed else _FAILED
        draw.text((x + 18, y + 2 * _LINE), text, ink, font=font)


def _draw_mark(draw: ImageDraw.ImageDraw, place: tuple[int, int], *, passed: bool) -> None:
    """A tick or a cross of 12 px: Pillow's own font has neither."""
    x, y = place
    if passed:
        draw.line([(x, y + 7), (x + 4, y + 11), (x + 12, y + 1)], _PASSED, width=3, joint="curve")
    else:
        draw.line([(x + 1, y + 1), (x + 11, y + 11)], _FAILED, width=3)
        draw.line([(x + 1, y + 11), (x + 11, y + 1)], _FAILED, width=3)


def _wrapped(text: str, width: int, font: Font) -> list[str]:
    sample = "a red heart to the left of a fox"
    columns = int(width * len(sample) / font.getlength(sample))
    lines = textwrap.wrap(
        text[:_MAX_HEADER], columns, max_lines=_MAX_HEADER_LINES, placeholder=" ..."
    )
    return [_fitted(line, width, font) for line in lines]


def _fitted(line: str, width: int, font: Font) -> str:
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(line + "...") > width:
        line = line[:-1]
    return line + "..."
