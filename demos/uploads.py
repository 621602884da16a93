"""Uploaded files to pictures, within limits. Nothing is unpacked to the disk, nothing is decoded before it is measured."""

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

from clipcond.clip import load_picture
from clipcond.errors import ClipcondError

from .settings import text

MAX_FILE = 20 * 2**20  # bytes, of an upload or of what a zip holds
MAX_PICTURES = 48
MAX_SEARCHED = 200
MAX_PIXELS = 64_000_000  # of all pictures together: 192 MB of RGB
_MAX_MEMBERS = 200
PROMPTS_FILE = "prompts.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What was uploaded.

    Attributes:
        names: of the pictures.
        pictures: RGB, upright and opaque.
        prompts: lines of prompts.txt, where a zip held one.
    """

    names: tuple[str, ...]
    pictures: tuple[Image.Image, ...]
    prompts: tuple[str, ...]


def read_uploads(paths: Sequence[str], *, most: int | None = None) -> Upload:
    """Read pictures, at most so many (None: MAX_PICTURES), and zips of pictures with a prompts.txt if they like.

    Raises:
        ClipcondError: what cannot be read or is too much of it; the message names the file.
    """
    most = MAX_PICTURES if most is None else most
    if not paths:
        raise ClipcondError("pictures: none uploaded yet; drop some, or a zip of them")
    names, pictures, prompts, pixels = [], [], [], 0
    for name, content in _contents(paths):
        if PurePosixPath(name).name == PROMPTS_FILE:
            prompts += lines(content.decode("utf-8", errors="replace"), PROMPTS_FILE)
            continue
        if len(pictures) == most:
            raise ClipcondError(f"pictures: more than {most}; upload fewer at a time")
        pixels += (picture := opened(name, content, MAX_PIXELS - pixels)).width * picture.height
        names.append(PurePosixPath(name).name)
        pictures.append(picture)
    if not pictures:
        raise ClipcondError("pictures: the upload holds none")
    return Upload(names=tuple(names), pictures=tuple(pictures), prompts=tuple(prompts))


def lines(value: str, name: str) -> list[str]:
    """The lines of a text box that say something.

    Raises:
        ClipcondError: it is too long.
    """
    return [line.strip() for line in text(value, name).splitlines() if line.strip()]


def _contents(paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of every uploaded file, and of every file in a zip."""
    for path in map(Path, paths):
        if path.stat().st_size > MAX_FILE:
            raise ClipcondError(f"{path.name}: over {MAX_FILE >> 20} MB; upload less at a time")
        if zipfile.is_zipfile(path):
            yield from _members(path)
        else:
            yield path.name, path.read_bytes()


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Read with a bound on every byte: what a zip says of its sizes is not believed."""
    left = MAX_FILE
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > _MAX_MEMBERS:
                raise ClipcondError(
                    f"{path.name}: holds {len(members)} files; at most {_MAX_MEMBERS}"
                )
            for member in members:
                name = PurePosixPath(member.filename.replace("\\", "/"))
                if name.is_absolute() or ".." in name.parts:
                    raise ClipcondError(
                        f"{path.name}: holds {member.filename!r}, which points out of the zip; pack it again"
                    )
                if name.name.startswith(".") or "__MACOSX" in name.parts:
                    continue  # what file managers leave behind
                with archive.open(member) as file:
                    content = file.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise ClipcondError(
                        f"{path.name}: unpacks to over {MAX_FILE >> 20} MB; upload less at a time"
                    )
                yield str(name), content
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise ClipcondError(f"{path.name}: unreadable zip ({error}); pack it again") from error


def opened(name: str, content: bytes, pixels_left: int) -> Image.Image:
    """The picture of a file's bytes, decoded only once its size is known.

    Raises:
        ClipcondError: no picture, a damaged one, or more pixels than are left.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            found = Image.open(BytesIO(content))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ClipcondError(f"{name}: too many pixels to open safely; shrink it first") from None
    except UnidentifiedImageError:
        raise ClipcondError(
            f"{name}: no picture that can be read; convert it to PNG or JPEG"
        ) from None
    with found:
        if found.width * found.height > pixels_left:
            raise ClipcondError(
                f"{name}: {found.width} x {found.height} is more than the {MAX_PIXELS // 10**6} million pixels that "
                "one upload may have; shrink it first"
            )
        try:
            return load_picture(found)
        except ClipcondError as error:
            raise ClipcondError(f"{name}: {error}") from error
        # Pillow's decoders raise whatever a damaged file makes them stumble over
        except Exception as error:
            raise ClipcondError(f"{name}: damaged picture ({error}); save it again") from error
