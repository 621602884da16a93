"""The work of `clipcond search`."""

from collections.abc import Sequence
from functools import singledispatch
from io import BytesIO
from pathlib import Path

from clipcond.cli.search import Add, Duplicates, Find, Stats, Tune
from clipcond.cli.terminal import hush_loading, note, write_json, write_table
from clipcond.errors import ClipcondError
from clipcond.search import Hit, Index
from clipcond.search.pictures import read_source

_SHOWN = 20  # failures that are said one by one


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
    failures = (*found.failures, *lacking)
    for failure in failures[:_SHOWN]:
        note(failure)
    if len(failures) > _SHOWN:
        note(f"and {len(failures) - _SHOWN} more")
    if request.json:
        write_json(found.as_dict() | {"told": told, "failures": list(failures)})
    else:
        note(
            f"{found.pictures:,} pictures in {request.db}: {found.encoded:,} encoded now, {found.known:,} moved or copied, "
            f"{found.removed:,} gone"
        )
    if failures and not found.pictures:
        return 2
    return 1 if failures else 0


@run.register
def _(request: Find) -> int:
    hush_loading("transformers")
    hits = Index.open(request.db).search(
        request.query,
        where=request.where,
        top=request.top,
        least=request.min,
        distinct=request.distinct,
        exact=not request.approximate,
    )
    if request.copy_to:
        _copy(hits, request.copy_to)
    if request.sheet:
        _sheet(hits, request.query, request.sheet)
    if request.json:
        write_json({"query": request.query, "hits": [hit.as_dict() for hit in hits]})
    elif not hits:
        note("nothing is that near")
    else:
        write_table(["cosine", "picture"], [[f"{hit.score:.4f}", _told(hit)] for hit in hits])
    return 0


def _told(hit: Hit) -> str:
    return hit.path + (f" (and {len(hit.alike)} alike)" if hit.alike else "")


def _copy(hits: Sequence[Hit], folder: Path) -> None:
    """Pictures under their rank and name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for rank, hit in enumerate(hits, start=1):
            (folder / f"{rank:03d}-{Path(hit.path).name}").write_bytes(read_source(hit.path))
    except OSError as error:
        raise ClipcondError(
            f"--copy-to: {folder} cannot be written to ({error.strerror})"
        ) from error


def _sheet(hits: Sequence[Hit], query: str, file: Path) -> None:
    from clipcond.clip.images import read_picture
    from clipcond.files import write_whole
    from clipcond.gallery.grid import Caption, draw_grid

    if not hits:
        return
    pictures, captions = [], []
    for rank, hit in enumerate(hits, start=1):
        picture = read_picture(BytesIO(read_source(hit.path)), hit.path)
        picture.thumbnail((192, 192))
        pictures.append(picture)
        captions.append(Caption(title=f"#{rank}   {hit.score:.4f}", detail=Path(hit.path).name))
    sheet = draw_grid(pictures, captions, query)
    write_whole(file, lambda path: sheet.save(path, "PNG"))


@run.register
def _(request: Duplicates) -> int:
    found = Index.open(request.db).groups(request.threshold)
    if request.json:
        write_json({"threshold": request.threshold, "groups": found})
    else:
        write_table(
            ["group", "picture"],
            [[str(n), path] for n, own in enumerate(found, start=1) for path in own],
        )
        note(
            f"{sum(map(len, found))} pictures in {len(found)} group{'s' * (len(found) != 1)}, with a cosine of "
            f"{request.threshold:g} or more"
        )
    return 0


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
