"""Pictures that exist, and what they are of: GenEval's folders, T2I-CompBench's names, a table, or what a PNG says itself."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from clipcond.errors import ClipcondError
from clipcond.evaluation.prompts import Columns, Prompt, PromptSet
from clipcond.gallery.folder import ENDINGS
from clipcond.tables import Column, column_names, read_rows

_NAMED = re.compile(r"(?P<prompt>.* .*)_(?P<seed>\d{6})")  # T2I-CompBench
_OF_ID = re.compile(r"(?P<id>.+?)(?:[_-](?:seed)?(?P<seed>\d+))?")
_FILES = ("file", "filename", "file_name", "image", "path", "picture")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture's file and what is known of it.

    Attributes:
        file: where it is.
        prompt: None: the picture itself says.
        model: what drew it.
        seed: or its number among those of the prompt; None where nobody knows.
        problem: why it cannot be scored; "" where it can.
    """

    file: Path
    prompt: Prompt | None
    model: str
    seed: int | None = None
    problem: str = ""


def find_pictures(
    source: Path,
    *,
    prompts: PromptSet | None = None,
    columns: Columns | None = None,
    model: str | None = None,
) -> Callable[[], Iterator[Picture]]:
    """What lists the pictures of a folder or table, from the start each time it is called.

    Args:
        source: a folder in GenEval's layout (00000/metadata.jsonl, 00000/samples/0000.png), with T2I-CompBench's names
            (a red book and a blue bowl_000003.png), or with PNGs that say themselves; or a table with a column for files,
            relative to it, one for prompts, and perhaps category, id, model and seed.
        prompts: whose ids are the pictures' names: 17.png, 17_3.png, 17-seed3.png or 17/3.png.
        columns: of a table.
        model: what drew them, in tables without such a column; None: the name of the folder.

    Raises:
        ClipcondError: there is none.
    """
    name = model or source.absolute().name
    if source.is_dir():
        listed = _of_ids(source, prompts, name) if prompts else _of_folder(source, name)
    elif source.exists():
        if prompts:
            raise ClipcondError(
                f"{source}: a table names the prompt of each picture; leave --prompts out"
            )
        listed = _of_table(source, columns or Columns(), model or source.stem)
    else:
        raise ClipcondError(f"{source}: no such folder or table; check the path")
    if next(listed(), None) is None:
        raise ClipcondError(f"{source}: holds no picture ({', '.join(ENDINGS)})")
    return listed


def digest(listed: Callable[[], Iterator[Picture]]) -> tuple[int, str]:
    """How many pictures there are, and a digest of which, of what and as of when."""
    count, found = 0, hashlib.blake2b(digest_size=16)
    for picture in listed():
        try:
            told = picture.file.stat()
            state = [told.st_size, told.st_mtime_ns]
        except OSError:
            state = []
        about = [str(picture.file), repr(picture.prompt), picture.model, picture.seed, *state]
        found.update(json.dumps(about).encode())
        count += 1
    return count, found.hexdigest()


def _of_folder(folder: Path, model: str) -> Callable[[], Iterator[Picture]]:
    if any(_geneval_folders(folder)):
        return lambda: _of_geneval(folder, model)
    return lambda: (_of_name(file, model) for file in _files(folder))


def _files(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in ENDINGS and not file.name.startswith(".")
    )


def _of_name(file: Path, model: str) -> Picture:
    """By T2I-CompBench's name, if it has one."""
    found = _NAMED.fullmatch(file.stem)
    if found is None:
        return Picture(file=file, prompt=None, model=model)
    return Picture(file=file, prompt=Prompt(found["prompt"]), model=model, seed=int(found["seed"]))


def _geneval_folders(folder: Path) -> Iterator[Path]:
    for inner in sorted(folder.iterdir()):
        if inner.name.isdigit() and (inner / "metadata.jsonl").is_file():
            yield inner


def _of_geneval(folder: Path, model: str) -> Iterator[Picture]:
    for inner in _geneval_folders(folder):
        file = inner / "metadata.jsonl"
        prompt, problem = None, ""
        try:
            about = json.loads(file.read_text(encoding="utf-8-sig"))
            prompt = Prompt(about["prompt"], inner.name, about.get("tag", ""))
        except (OSError, ValueError, KeyError, TypeError) as error:
            problem = f"{file} does not say its prompt ({error!r})"
        for sample in _files(inner / "samples"):
            seed = int(sample.stem) if sample.stem.isdigit() else None
            yield Picture(file=sample, prompt=prompt, model=model, seed=seed, problem=problem)


def _of_ids(folder: Path, prompts: PromptSet, model: str) -> Callable[[], Iterator[Picture]]:
    known = {prompt.id or str(number): prompt for number, prompt in enumerate(prompts.prompts)}

    def listed() -> Iterator[Picture]:
        for file in _files(folder):
            found = _OF_ID.fullmatch(file.stem)
            names = (file.stem, found["id"] if found else "", file.parent.name)
            own = next((name for name in names if name in known), None)
            if own is None:
                problem = (
                    f"{file.name} is the name of no prompt's id (such as {next(iter(known))}.png)"
                )
                yield Picture(file=file, prompt=None, model=model, problem=problem)
                continue
            seed = found["seed"] if found and own == found["id"] else None
            if own == file.parent.name and file.stem.isdigit():
                seed = file.stem
            yield Picture(
                file=file, prompt=known[own], model=model, seed=int(seed) if seed else None
            )

    return listed


def _of_table(file: Path, columns: Columns, model: str) -> Callable[[], Iterator[Picture]]:
    names = column_names(file)
    known = {name.casefold(): name for name in reversed(names)}
    held: dict[str, str] = {
        "file": next((known[name] for name in _FILES if name in known), "file"),
        "prompt": "prompt",
        **columns.among(names),
        **{name: known[name] for name in ("model", "seed") if name in known},
    }
    asked = [
        Column(name, f"--{what}-column", loose=what not in ("file", "prompt"))
        for what, name in held.items()
    ]

    def listed() -> Iterator[Picture]:
        for number, values in enumerate(read_rows(file, asked), start=1):
            row = dict(zip(held, values, strict=True))
            seed = row.get("seed", "").removesuffix(
                ".0"
            )  # pandas turns a column with gaps into floats
            problem = (
                ""
                if seed.isdigit() or not seed
                else f"row {number}: the seed {seed!r} is no whole number"
            )
            yield Picture(
                file=file.parent / row["file"],
                prompt=Prompt(row["prompt"], row.get("id", ""), row.get("category", "")),
                model=row.get("model") or model,
                seed=int(seed) if seed.isdigit() else None,
                problem=problem,
            )

    return listed
