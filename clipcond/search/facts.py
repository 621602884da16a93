"""What a picture's file says: its size, when it was taken, and its prompt, seed and model where it was generated."""

from datetime import datetime
from typing import Any

from PIL import Image

from clipcond.errors import ClipcondError
from clipcond.gallery.metadata import read_told

_TAKEN = (0x9003, 0x0132)  # EXIF: DateTimeOriginal, DateTime
_EXIF = 0x8769


def facts(opened: Image.Image) -> dict[str, Any]:
    """Columns of one picture, None where it does not say.

    Args:
        opened: as Pillow opened it, before it is converted.
    """
    try:
        told = read_told(opened)
    except ClipcondError:  # a damaged text tells nothing; the picture can be found all the same
        told = None
    return {
        "width": opened.width,
        "height": opened.height,
        "date": _date(opened),
        "prompt": told.text if told else None,
        "seed": told.seed if told else None,
        "generator": told.model or None if told else None,
    }


def _date(opened: Image.Image) -> str | None:
    """As ISO 8601, which sorts."""
    try:
        exif = opened.getexif()
    # Pillow's readers raise whatever damaged EXIF makes them stumble over; the picture can be found all the same
    except Exception:  # noqa: BLE001
        return None
    for tag in _TAKEN:
        said = exif.get_ifd(_EXIF).get(tag) or exif.get(tag)
        try:
            return datetime.strptime(str(said), "%Y:%m:%d %H:%M:%S").isoformat()
        except ValueError:
            continue
    return None
