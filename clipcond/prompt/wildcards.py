"""A folder of wildcard files: a name to its lines."""

import os
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from clipcond.errors import ClipcondError, PromptSyntaxError
from clipcond.prompt.tree import Span

_COMMENT = re.compile(r"(?:^|\s)#")


@dataclass
class Wildcards:
    """The .txt files of a folder and all below it; each is read once, when it is first asked for.

    Attributes:
        folder: where they are; None: there are none.
        read: the lines of those that were read.
    """

    folder: str | os.PathLike[str] | None
    read: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        if not isinstance(self.folder, str | os.PathLike):
            raise ClipcondError(f"wildcards: got {self.folder!r}; needs a folder's path")
        if not Path(self.folder).is_dir():
            raise ClipcondError(f"wildcards: there is no folder {os.fspath(self.folder)!r}")

    @cached_property
    def files(self) -> dict[str, Path]:
        """The file of each name; a sub-folder's have a slash on every platform."""
        if self.folder is None:
            return {}
        root = Path(self.folder)
        found = sorted(path for path in root.rglob("*.txt") if path.is_file())
        return {path.relative_to(root).as_posix().removesuffix(".txt"): path for path in found}

    def lines(self, name: str, source: str, span: Span) -> list[str]:
        """The options of a wildcard that stands at a span of a source: at least one.

        Raises:
            PromptSyntaxError: there is no such file, or nothing in it.
            ClipcondError: it cannot be read.
        """
        if name not in self.read:
            if name not in self.files:
                raise PromptSyntaxError(
                    f"there is no wildcard {name!r}", source, span, self._repair(name)
                )
            self.read[name] = _options(self.files[name])
        if not self.read[name]:
            raise PromptSyntaxError(
                f"the file of the wildcard {name!r} has no option", source, span, "write one a line"
            )
        return self.read[name]

    def _repair(self, name: str) -> str:
        if self.folder is None:
            return f"give wildcards, a folder with {name}.txt in it, or write \\__ for the signs themselves"
        close = get_close_matches(name, self.files, n=1)
        if close:
            return f"did you mean __{close[0]}__?"
        return f"{os.fspath(self.folder)} has no {name}.txt; write one, an option a line"


def _options(path: Path) -> list[str]:
    """Lines that are neither blank nor comments, without the blanks around them and comments after them."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ClipcondError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ClipcondError(f"{path} is no UTF-8 text; save it as UTF-8") from error
    lines = (_COMMENT.split(line, maxsplit=1)[0].strip() for line in text.split("\n"))
    return [line for line in lines if line]
