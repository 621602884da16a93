"""The work of `clipcond search`."""

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any

from clipcond.cli.search import Add, Cluster, Duplicates, Find, Stats, Tune
from clipcond.cli.terminal import hush_loading, note, write_json, write_table
from clipcond.errors import ClipcondError
from clipcond.search import Hit, Index
from clipcond.search.pictures import read_source
from clipcond.search.sheet import Entry, check_ending, thumbnail, write_sheet

_SHOWN = 20  # failures that are said one by one
_WIDE, _HIGH = 12, 6  # of a picture in a terminal, in characters and lines


@singledispatch
def run(request: object) -> int:
    """Do what was asked."""
    raise TypeError(type(request))


@run.register
def _(request: Add) -> int:
    from clipcond.bulk import find_engine

    hush_loading("transformers")
    bulk = request.bulk
    index = Index.open(request.db, request.scorer)
    found = index.add(
        request.roots,
        engine=find_engine(bulk.engine, workers=bulk.workers, address=bulk.address),
        device=request.device,
    )
    told, lacking = (
        index.tell(request.table, file_column=request.file_column) if request.table else (0, ())
    )
    code = _say((*found.failures, *lacking))
    if request.json:
        write_json(found.as_dict() | {"told": told, "failures": [*found.failures, *lacking]})
    else:
        note(
            f"{found.pictures:,} pictures in {request.db}: {found.encoded:,} encoded now, {found.known:,} moved or copied, "
            f"{found.removed:,} gone"
        )
    return 2 if code and not found.pictures else code


@run.register
def _(request: Find) -> int:
    hush_loading("transformers")
    if request.sheet:
        check_ending(request.sheet)
    hits = Index.open(request.db).search(
        request.query,
        where=request.where,
        top=request.top,
        least=request.min,
        distinct=request.distinct,
        exact=not request.approximate,
    )
    if request.json:
        write_json({"query": request.query, "hits": [hit.as_dict() for hit in hits]})
    elif not hits:
        note("nothing is that near")
    else:
        _show(hits)
    failures = _copy(hits, request.copy_to) if request.copy_to else ()
    if request.sheet and hits:
        entries = [
            Entry(hit.path, f"#{rank}   {hit.score:.4f}") for rank, hit in enumerate(hits, start=1)
        ]
        failures = (*failures, *write_sheet(request.sheet, request.query, entries))
    return _say(failures)


def _show(hits: Sequence[Hit]) -> None:
    """A table; in a terminal with small pictures, as it can show them."""
    rows: list[list[Any]] = [[f"{hit.score:.4f}", _told(hit)] for hit in hits]
    columns = ["cosine", "picture"]
    # a terminal without a size, as some CI has, cannot say how many pixels a character has
    sized = sys.stdout.isatty() and os.get_terminal_size(sys.stdout.fileno()).columns
    if sized and importlib.util.find_spec("textual_image"):
        from textual_image.renderable import Image  # asks the terminal when imported

        columns.insert(1, "")
        for row, hit in zip(rows, hits, strict=True):
            try:
                row.insert(1, Image(thumbnail(hit.path), width=_WIDE, height=_HIGH))
            except ClipcondError:
                row.insert(1, "gone")
    write_table(columns, rows)


def _told(hit: Hit) -> str:
    return hit.path + (f" (and {len(hit.alike)} alike)" if hit.alike else "")


def _copy(hits: Sequence[Hit], folder: Path) -> tuple[str, ...]:
    """Pictures under their rank and name; those that are gone, a line each."""
    failures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for rank, hit in enumerate(hits, start=1):
            try:
                content = read_source(hit.path)
            except ClipcondError as error:
                failures.append(str(error))
                continue
            (folder / f"{rank:03d}-{Path(hit.path).name}").write_bytes(content)
    except OSError as error:
        raise ClipcondError(
            f"--copy-to: {folder} cannot be written to ({error.strerror})"
        ) from error
    return tuple(failures)


def _say(failures: Sequence[str]) -> int:
    """The first of them, a line each; the exit code."""
    for failure in failures[:_SHOWN]:
        note(failure)
    if len(failures) > _SHOWN:
        note(f"and {len(failures) - _SHOWN} more")
    return 1 if failures else 0


@run.register
def _(request: Duplicates) -> int:
    return _tell_groups(request, lambda index: index.groups(request.threshold))


@run.register
def _(request: Cluster) -> int:
    def find(index: Index) -> list[list[str]]:
        return index.clusters(request.threshold, least=request.least)

    return _tell_groups(request, find)


def _tell_groups(request: Duplicates | Cluster, find: Callable[[Index], list[list[str]]]) -> int:
    if request.sheet:
        check_ending(request.sheet)
    found = find(Index.open(request.db))
    title = (
        f"{sum(map(len, found))} pictures in {len(found)} group{'s' * (len(found) != 1)}, with a cosine of "
        f"{request.threshold:g} or more"
    )
    if request.json:
        write_json({"threshold": request.threshold, "groups": found})
    else:
        if found:
            write_table(
                ["group", "picture"],
                [[str(n), path] for n, own in enumerate(found, start=1) for path in own],
            )
        note(title)
    if not (request.sheet and found):
        return 0
    entries = [
        Entry(path, "", f"Group {n}") for n, own in enumerate(found, start=1) for path in own
    ]
    return _say(write_sheet(request.sheet, title, entries))


@run.register
def _(request: Stats) -> int:
    found = Index.open(request.db).stats()
    if request.json:
        write_json(found)
    else:
        write_table(
            ["", ""], [[name.replace("_", " "), str(value)] for name, value in found.items()]
        )
    return 0


@run.register
def _(request: Tune) -> int:
    found = Index.open(request.db).tune()
    if request.json:
        write_json(found)
    else:
        note(
            f"{found['pictures']:,} pictures: recall@10 {found['recall']:.3f}, {found['approximate_ms']:.1f} ms a query, exact "
            f"{found['exact_ms']:.1f} ms; clipcond search find --approximate uses it"
        )
    return 0
