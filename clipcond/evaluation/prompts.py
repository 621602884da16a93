"""Prompt sets in the forms that people have them: PartiPrompts, GenEval, DPG-Bench, T2I-CompBench, any table, the emoji tasks."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipcond import emoji
from clipcond.errors import ClipcondError
from clipcond.tables import Column, column_names, read_rows

# name -> split of the emoji world's tasks
SHIPPED: dict[str, Literal["held_out", "train"]] = {"emoji": "held_out", "emoji-train": "train"}

# what columns are called, by what they hold; the first that a table has is taken, in any case
_NAMES = {
    "prompt": ("prompt", "caption", "text"),
    "category": ("category", "tag", "task"),
    "id": ("id", "item_id", "prompt_id"),
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt of a set.

    Attributes:
        text: as it stands.
        id: what the set calls it; "" where it has no names.
        category: "" where it has none.
        about: GenEval's line of it, as JSON; "" of other sets.
    """

    text: str
    id: str = ""
    category: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class PromptSet:
    """Prompts in order, and what is wrong with those that were left out, a line each."""

    prompts: tuple[Prompt, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of a table hold what; None: by their usual names."""

    prompt: str | None = None
    category: str | None = None
    id: str | None = None

    def among(self, names: Sequence[str]) -> dict[str, str]:
        """What they hold -> column, of those that are there or were asked for."""
        known = {name.casefold(): name for name in reversed(names)}
        found = {}
        for what, usual in _NAMES.items():
            own = getattr(self, what) or next((known[n] for n in usual if n in known), None)
            if own is not None:
                found[what] = own
        return found


def read_prompts(
    sources: str | Path | Sequence[str | Path], columns: Columns | None = None
) -> PromptSet:
    """Prompts of one or several sets, one after another.

    Args:
        sources: "emoji" or "emoji-train" (the world's tasks), a folder with a .txt a prompt (DPG-Bench), a .txt with a line a
            prompt, whose name is their category (T2I-CompBench), a .jsonl of GenEval's, or a .csv, .tsv, .jsonl or .parquet
            table with a column for prompts (PartiPrompts and others).
        columns: of tables.

    Raises:
        ClipcondError: a source that cannot be read, or none of whose prompts is left.
    """
    named = [sources] if isinstance(sources, str | Path) else sources
    found: list[Prompt] = []
    left_out: list[str] = []
    texts: dict[str, tuple[str, str]] = {}  # id -> text, where it was
    for source in named:
        for where, prompt in _prompts(source, columns or Columns()):
            reason = _wrong(prompt, texts)
            if reason:
                left_out.append(f"{where}: {reason}")
                continue
            texts[prompt.id] = (prompt.text, where)
            found.append(prompt)
    if not found:
        raise ClipcondError(
            f"{', '.join(map(str, named))}: no prompt is left ({left_out[0] if left_out else 'there is none'})"
        )
    return PromptSet(tuple(found), tuple(left_out))


def _wrong(prompt: Prompt, texts: dict[str, tuple[str, str]]) -> str:
    """Why a prompt is left out."""
    if not prompt.text.strip():
        return "an empty prompt; write one, or take the row out"
    if "\0" in prompt.text:
        return "holds a NUL character; take it out"
    if prompt.id and prompt.id in texts:
        text, where = texts[prompt.id]
        same = "the same prompt" if text == prompt.text else "another prompt"
        return f"the id {prompt.id!r} is there already, of {same} ({where}); give each its own"
    return ""


def _prompts(source: str | Path, columns: Columns) -> Iterator[tuple[str, Prompt]]:
    """(where it is, prompt)."""
    if str(source) in SHIPPED and not Path(source).exists():
        tasks = emoji.tasks(split=SHIPPED[str(source)])
        return (
            (f"{source} {t}", Prompt(text, category=t)) for t, ts in tasks.items() for text in ts
        )
    file = Path(source)
    if file.is_dir():
        return _of_folder(file)
    if file.suffix.lower() == ".txt":
        return _of_lines(file)
    return _of_table(file, columns)


def _of_folder(folder: Path) -> Iterator[tuple[str, Prompt]]:
    files = sorted(folder.glob("*.txt"), key=lambda file: (len(file.stem), file.stem))
    if not files:
        raise ClipcondError(
            f"{folder}: holds no .txt file; a folder of prompts has one for each (DPG-Bench)"
        )
    for file in files:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ClipcondError(f"{file}: not readable as UTF-8 text ({error})") from error
        yield str(file), Prompt(" ".join(text.split()), id=file.stem)


def _of_lines(file: Path) -> Iterator[tuple[str, Prompt]]:
    """Blank lines are no prompts."""
    for number, (text,) in enumerate(read_rows(file, [Column("prompt", "--prompts")]), start=1):
        if text.strip():
            yield f"{file}: line {number}", Prompt(text.strip(), category=file.stem)


def _of_table(file: Path, columns: Columns) -> Iterator[tuple[str, Prompt]]:
    names = column_names(file)
    chosen = columns.among(names)
    held = {"prompt": chosen.get("prompt", "prompt"), **chosen}
    is_geneval = file.suffix.lower() == ".jsonl" and {"tag", "include", "prompt"} <= set(names)
    asked = [
        Column(name, f"--{what}-column", loose=what != "prompt") for what, name in held.items()
    ]
    lines = _lines_of(file) if is_geneval else iter(())
    for number, values in enumerate(read_rows(file, asked), start=1):
        row = dict(zip(held, values, strict=True))
        prompt = Prompt(
            row["prompt"], row.get("id", ""), row.get("category", ""), about=next(lines, "")
        )
        yield f"{file}: row {number}", prompt


def _lines_of(file: Path) -> Iterator[str]:
    """The objects of a .jsonl, each on one line as JSON."""
    with file.open(encoding="utf-8-sig") as opened:
        for line in opened:
            if line.strip():
                yield json.dumps(json.loads(line), ensure_ascii=False)
