"""Contact sheets of pictures that were found: one PNG, or one HTML page that needs nothing else and links to the originals."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from clipcond.errors import ClipcondError
from clipcond.files import write_whole
from clipcond.gallery.grid import Caption, draw_grid
from clipcond.gallery.page import data_url, write_page
from clipcond.search.pictures import INSIDE, read_source

EDGE = 192  # greatest side of a picture on a sheet, in pixels
_GONE = (222, 222, 218)


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture on a sheet.

    Attributes:
        path: as an index tells it.
        title: above its file's name.
        group: pictures that stand together have it in common; "" for no groups.
    """

    path: str
    title: str
    group: str = ""


def thumbnail(path: str, edge: int = EDGE) -> Image.Image:
    """A picture that is no larger than that, RGB.

    Raises:
        ClipcondError: it is gone since it was indexed, or unreadable.
    """
    from clipcond.clip.images import read_picture

    picture = read_picture(BytesIO(read_source(path)), path)
    picture.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    return picture


def write_sheet(file: Path, header: str, entries: Sequence[Entry]) -> tuple[str, ...]:
    """Write the sheet.

    Args:
        file: .png or .html.
        header: shown above.
        entries: at least one, those of a group beside each other.

    Returns:
        Pictures that cannot be shown, a line each; their places are empty.

    Raises:
        ClipcondError: another ending, a file that cannot be written, or Jinja is missing.
    """
    write = _WRITERS[check_ending(file)]
    shown: list[Image.Image | None] = []
    failures = []
    for entry in entries:
        try:
            shown.append(thumbnail(entry.path))
        except ClipcondError as error:
            shown.append(None)
            failures.append(str(error))
    write(file, header, entries, shown)
    return tuple(failures)


def check_ending(file: Path) -> str:
    """The kind of sheet, before any work.

    Raises:
        ClipcondError: another ending than .png and .html.
    """
    ending = file.suffix.lower()
    if ending not in _WRITERS:
        raise ClipcondError(f"{file}: a contact sheet is a .png or .html; name it so")
    return ending


def _write_png(
    file: Path, header: str, entries: Sequence[Entry], shown: Sequence[Image.Image | None]
) -> None:
    captions = [
        Caption(
            title=f"{entry.group}   {entry.title}".strip(),
            detail=Path(entry.path).name if picture else "cannot be shown",
        )
        for entry, picture in zip(entries, shown, strict=True)
    ]
    pictures = [picture or Image.new("RGB", (EDGE, EDGE), _GONE) for picture in shown]
    sheet = draw_grid(pictures, captions, header)
    write_whole(file, lambda path: sheet.save(path, "PNG"))


def _write_html(
    file: Path, header: str, entries: Sequence[Entry], shown: Sequence[Image.Image | None]
) -> None:
    groups: dict[str, list[tuple[Entry, str, str]]] = {}
    for entry, picture in zip(entries, shown, strict=True):
        original = Path(entry.path.partition(INSIDE)[0]).as_uri()
        own = (entry, original, data_url(picture, EDGE) if picture else "")
        groups.setdefault(entry.group, []).append(own)
    write_page(file, "clipcond.search", "sheet.html.j2", header=header, groups=groups)


_WRITERS = {".png": _write_png, ".html": _write_html}
