"""Rows that could not be read: counted, listed in a file, and too many of them an error."""

import json
from collections.abc import Sequence
from pathlib import Path

from clipcond.clip.training.loading import Loaded
from clipcond.clip.training.stream import Broken
from clipcond.errors import ClipcondError

_WINDOW = 1000  # rows


class BrokenRows:
    """The broken rows of a training, each once, over all its processes and however often it is gone on with.

    Args:
        file: where they are listed, a JSON object a line: row, name, reason. What it lists already is counted.
        rows: how many rows this process reads until it has read enough to judge, if they are fewer than 1,000.

    Raises:
        ClipcondError: the file cannot be read.
    """

    def __init__(self, file: Path, rows: int) -> None:
        self._file, self._window = file, min(rows, _WINDOW)
        self._read = self._broken = 0
        self._known: dict[tuple[int, str], Broken] = {}
        self._torn = self._look()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, loaded: Loaded) -> None:
        """Count what was read for a step, and list at once what is broken.

        Raises:
            ClipcondError: of 1,000 rows, or of all if there are fewer, more than half are broken; or the file cannot be
                written.
        """
        self.note(loaded.broken)
        self._read += len(loaded.batch) + len(loaded.broken)
        self._broken += len(loaded.broken)
        if self._read < self._window:
            return
        if 2 * self._broken > self._read:
            first = next(iter(self._known.values()))
            raise ClipcondError(
                f"data: of {self._read} rows {self._broken} could not be read, such as {first.name}: {first.reason}; "
                f"see {self._file.name}, and check that the columns and paths are the right ones"
            )
        self._read = self._broken = 0

    def note(self, rows: Sequence[Broken]) -> None:
        """List rows that are not listed yet.

        Raises:
            ClipcondError: the file cannot be written.
        """
        new = {place: each for each in rows if (place := (each.row, each.name)) not in self._known}
        self._known |= new
        self._write(list(new.values()))

    def summary(self) -> str:
        """How many there are, in a line; "" where there is none."""
        self._look()  # other processes' as well
        if not self._known:
            return ""
        first = next(iter(self._known.values()))
        rows = "1 row" if len(self) == 1 else f"{len(self):,} rows"
        return f"{rows} could not be read and left out, such as {first.name}: {first.reason}; {self._file} lists all"

    def _write(self, new: Sequence[Broken]) -> None:
        """A line each, in one piece, so that processes that write at once do not mix theirs."""
        if not new:
            return
        lines = "".join(
            json.dumps(
                {"row": each.row, "name": each.name, "reason": each.reason}, ensure_ascii=False
            )
            + "\n"
            for each in new
        )
        try:
            with self._file.open("ab", buffering=0) as file:
                file.write(("\n" * self._torn + lines).encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise ClipcondError(
                f"{self._file}: cannot be written ({error.strerror}); make room, and go on"
            ) from error
        self._torn = False

    def _look(self) -> bool:
        """Take up what the file lists, and whether its last line is cut off."""
        try:
            lines = self._file.read_bytes().split(b"\n")
        except FileNotFoundError:
            return False
        except OSError as error:
            raise ClipcondError(f"{self._file}: cannot be read ({error.strerror})") from error
        for line in lines:
            try:
                found = json.loads(line)
                known = Broken(row=found["row"], name=found["name"], reason=found["reason"])
            except (ValueError, KeyError, TypeError):  # a line that a process died over
                continue
            self._known.setdefault((known.row, known.name), known)
        return lines[-1] != b""
