"""Rows of pictures and captions, whatever they are kept in."""

import json
import stat
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from clipcond.errors import ClipcondError, printable

_EXCERPT = 60  # characters of a value in a message


class BrokenRowError(ClipcondError):
    """What is wrong with one row, which is left out and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns are called, where there are columns.

    Attributes:
        image: a path beside the table, or the picture's bytes.
        caption: a text, or a list of texts.
        label: the class that a picture is of; None for none.
    """

    image: str = "image"
    caption: str = "caption"
    label: str | None = None


@runtime_checkable
class Source(Protocol):
    """Pictures with captions by number, read when they are asked for; picklable, so that workers read them.

    Attributes:
        notes: what could not be read of it at all, a line each.
    """

    notes: tuple[str, ...]

    def __len__(self) -> int:
        """How many rows there are, broken ones included."""

    def name(self, row: int) -> str:
        """Which row it is, for messages."""

    def key(self, row: int) -> str:
        """Which picture it shows: rows of one picture have one key, as far as it is cheap to tell."""

    def picture(self, row: int) -> bytes:
        """The encoded picture; a BrokenRowError if there is none."""

    def captions(self, row: int) -> tuple[str, ...]:
        """One text or more, none of them empty; a BrokenRowError if there is none."""

    def label(self, row: int) -> str | None:
        """The class of its picture, where that is known."""


class Packed:
    """Texts in one piece of memory, which processes share: those of a list are copied when they are looked at."""

    def __init__(self) -> None:
        self._data, self._ends = bytearray(), array("q", [0])

    def append(self, text: str) -> None:
        """Add one at the end."""
        self._data += text.encode("utf-8", "surrogateescape")  # as names of files have them
        self._ends.append(len(self._data))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        start, end = self._ends[number], self._ends[number + 1]
        return self._data[start:end].decode("utf-8", "surrogateescape")


class Cells:
    """A column of JSON values, packed."""

    def __init__(self) -> None:
        self._texts = Packed()

    def append(self, value: object) -> None:
        """Add one at the end; what JSON cannot say is kept as Python prints it."""
        self._texts.append(json.dumps(value, default=repr))

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, number: int) -> object:
        value: object = json.loads(self._texts[number])
        return value


def read_bytes(path: Path) -> bytes:
    """A picture file's content.

    Raises:
        BrokenRowError: there is none.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a named pipe would be waited for
            raise BrokenRowError("is no file")
        content = path.read_bytes()
    except FileNotFoundError:
        raise BrokenRowError("no such picture file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        raise BrokenRowError(f"unreadable ({getattr(error, 'strerror', None) or error})") from None
    return checked(content)


def checked(content: bytes) -> bytes:
    """A picture's bytes, of which there must be some."""
    if not content:
        raise BrokenRowError("its picture has 0 bytes")
    return content


def texts_of(value: object, where: str) -> tuple[str, ...]:
    """The captions that a cell holds, without blanks around them and empty ones.

    Raises:
        BrokenRowError: no text is left, or something is none; `where` names the place.
    """
    values: Sequence[object] = value if isinstance(value, list | tuple) else [value]
    for text in values:
        if not isinstance(text, str):
            raise BrokenRowError(f"has no caption in {where}, but {excerpt(text)}")
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            raise BrokenRowError(f"its caption holds half of a surrogate pair: {excerpt(text)}")
    kept = tuple(text.strip() for text in values if isinstance(text, str) and text.strip())
    if not kept:
        raise BrokenRowError(f"its caption is empty in {where}")
    return kept


def label_of(value: object) -> str | None:
    """The class that a cell names."""
    text = "" if value is None else str(value).strip()
    return text or None


def excerpt(value: object) -> str:
    """A value in a message."""
    text = printable(repr(value))
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 3] + "..."


def missing(package: str) -> ClipcondError:
    """The error where an optional package is not installed."""
    return ClipcondError(f"{package} is not installed: pip install 'clipcond[train]'")
