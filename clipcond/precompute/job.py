"""Encoding the prompts of a table into a folder of shards.

Distinct prompts are numbered as they appear, and shard k holds the k-th few hundred of them, always the same ones in
the same batches. So it is work in bulk (`clipcond.bulk`): an interrupted run goes on, on this machine or on a Ray cluster,
and the result is bit for bit that of a run without interruption.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from clipcond.bulk import Engine, Finish, Work, batched, claimed, complete, cut, find_engine
from clipcond.bulk import Shard as Part
from clipcond.conditioning import Conditioner
from clipcond.encoders import digest
from clipcond.errors import ClipcondError
from clipcond.files import save_whole
from clipcond.precompute.shards import FLAT, RAGGED, Shard, ShardFile, Tensors, shard_path
from clipcond.prompt import parse
from clipcond.prompt.tree import shortened
from clipcond.tables import Column, read_rows

VERSION = 1

if TYPE_CHECKING:
    Numbers = array[int]
else:  # which Python 3.11 cannot say
    Numbers = array


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a run did.

    Attributes:
        prompts: rows of the table.
        distinct: different prompts among them.
        encoded: distinct prompts that this run encoded; those of an earlier, interrupted one are not among them.
        failures: message for each distinct prompt that has no embeddings, naming its first row.
        shards: files in all.
    """

    prompts: int
    distinct: int
    encoded: int
    failures: tuple[str, ...]
    shards: int


def encode_prompts(
    conditioner: Conditioner,
    source: str | Path,
    out: str | Path,
    *,
    column: str = "prompt",
    dtype: torch.dtype = torch.float16,
    batch_size: int = 32,
    shard_size: int = 256,
    engine: Engine | None = None,
    on_worker: Callable[[Conditioner], Conditioner] | None = None,
) -> Summary:
    """Encode every distinct prompt of a table once; `load_embeddings(out)` reads them.

    A run that was interrupted goes on when called again with the same arguments. A prompt that cannot be encoded is
    left out and named; the others are done.

    Args:
        conditioner: whose positive side is kept.
        source: .jsonl, .csv, .tsv, .parquet or .txt.
        out: a folder, made if need be.
        column: of the table, with the prompts.
        dtype: of what is stored.
        batch_size: prompts in one call of the conditioner.
        shard_size: distinct prompts in one file.
        engine: who does it (`clipcond.bulk.find_engine`); None: this process.
        on_worker: called with the conditioner in each worker, first of all: moves it to where it runs there.

    Raises:
        ClipcondError: the table cannot be read, or `out` holds what another table, model or option gave, or another
            process is writing to it.
    """
    source, out = Path(source), Path(out)
    rows, first_rows, content = _numbered(source, column)
    about = {
        "version": VERSION,
        "prompts": content,
        "encoders": {
            path.role.slot: hashlib.blake2b(
                digest(path.encoder.module) + path.encoder.settings, digest_size=16
            ).hexdigest()
            for path in conditioner.paths
        },
        "options": _options(conditioner, dtype, batch_size, shard_size),
    }
    work = Work(worker=partial(_worker, conditioner, on_worker, dtype, batch_size))
    with claimed(out, about, parts="shard-*.safetensors"):
        shards = cut(_distinct(source, column, rows), shard_size, partial(shard_path, out))
        made = complete(
            work, shards, engine or find_engine(), total=len(first_rows), unit="prompts"
        )
        failures = _finish(out, rows, first_rows, shard_size)
    return Summary(
        prompts=len(rows),
        distinct=len(first_rows),
        encoded=sum(min(shard_size, len(first_rows) - n * shard_size) for n in made),
        failures=failures,
        shards=-(-len(first_rows) // shard_size),
    )


def _worker(
    conditioner: Conditioner,
    on_worker: Callable[[Conditioner], Conditioner] | None,
    dtype: torch.dtype,
    batch_size: int,
) -> Finish:
    """What makes a shard's file."""
    placed = conditioner if on_worker is None else on_worker(conditioner)

    def finish(part: Part, _prepared: object) -> None:
        _shard(placed, part.items, dtype, batch_size).save(part.file)

    return finish


def _prompts(source: Path, column: str) -> Iterator[str]:
    return (text for (text,) in read_rows(source, [Column(column, "--prompt-column")]))


def _numbered(source: Path, column: str) -> tuple[Numbers, Numbers, str]:
    """The number of each row's prompt among the distinct ones; the first row of each; a digest of all."""
    numbers: dict[bytes, int] = {}
    rows, first_rows, content = array("q"), array("q"), hashlib.blake2b(digest_size=16)
    for row, text in enumerate(_prompts(source, column)):
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        content.update(key)
        number = numbers.setdefault(key, len(numbers))
        if number == len(first_rows):
            first_rows.append(row)
        rows.append(number)
    return rows, first_rows, content.hexdigest()


def _distinct(source: Path, column: str, rows: Numbers) -> Iterator[str]:
    """Each prompt once, in the order of the numbers."""
    following = 0
    for number, text in zip(rows, _prompts(source, column), strict=True):
        if number == following:
            following += 1
            yield text


def _options(
    conditioner: Conditioner, dtype: torch.dtype, batch_size: int, shard_size: int
) -> dict[str, Any]:
    return {
        "family": conditioner.family.name,
        **conditioner.options.settings,
        "dtype": str(dtype).removeprefix("torch."),
        "batch_size": batch_size,
        "shard_size": shard_size,
    }


def _shard(
    conditioner: Conditioner, texts: Sequence[str], dtype: torch.dtype, batch_size: int
) -> Shard:
    tensors: list[Tensors | None] = [None] * len(texts)
    failures: dict[int, str] = {}
    alike: dict[tuple[int, ...], list[int]] = {}
    for place, text in enumerate(texts):
        try:
            alike.setdefault(_shape(conditioner, text), []).append(place)
        except ClipcondError as error:
            failures[place] = str(error)
    for places in alike.values():
        for part in batched(places, batch_size):
            try:
                made = _encoded(conditioner, [texts[place] for place in part], dtype)
            except (
                ClipcondError
            ):  # only what comes out tells that a weight is too large: find the prompt
                made = []
                for place in part:
                    try:
                        made += _encoded(conditioner, [texts[place]], dtype)
                    except ClipcondError as error:
                        made.append(None)
                        failures[place] = str(error)
            for place, found in zip(part, made, strict=True):
                tensors[place] = found
    return Shard(texts, tensors, failures)


def _shape(conditioner: Conditioner, text: str) -> tuple[int, ...]:
    """As `shape_of`, of a prompt that one embedding can say."""
    prompt = parse(text, dialect=conditioner.dialect).without_tags
    composed = prompt.joined == "compose"
    if composed or prompt.is_scheduled:
        what = "joins prompts with AND" if composed else "changes over the steps"
        raise ClipcondError(
            f"the prompt {shortened(text)!r} {what}, which no embedding of it can say; give each of its texts a row"
        )
    return shape_of(conditioner, text)


def shape_of(conditioner: Conditioner, text: str) -> tuple[int, ...]:
    """Windows, or the length of a row that is longer than usual: prompts alike in this share a call, so that none is
    filled up for another's sake.

    Raises:
        ClipcondError: a prompt that cannot be read.
    """
    report = conditioner.report(text)
    shape: list[int] = []
    for path in conditioner.paths:
        seen = report.encoders[path.role.slot].prompts[0]
        usual = path.with_length(conditioner.family.t5_length).tokenizer.frame.room
        longer = seen.length > usual or path.role.padding == "none"
        longer = longer and not path.role.windowed
        shape.append(-seen.length if longer else seen.chunks)
    return tuple(shape)


def _encoded(
    conditioner: Conditioner, texts: Sequence[str], dtype: torch.dtype
) -> list[Tensors | None]:
    conditioning = conditioner(list(texts))
    columns = {
        name: getattr(conditioning, name)
        for name in (*RAGGED, *FLAT)
        if getattr(conditioning, name) is not None
    }
    stored = {
        name: t.to("cpu", dtype if t.is_floating_point() else None) for name, t in columns.items()
    }
    return [{name: t[i] for name, t in stored.items()} for i in range(len(texts))]


def _finish(out: Path, rows: Numbers, first_rows: Numbers, shard_size: int) -> tuple[str, ...]:
    """Write which prompt each row has, which makes the folder whole; the messages of those that have none."""
    failed, messages = [], []
    for number in range(-(-len(first_rows) // shard_size)):
        shard = ShardFile(shard_path(out, number))
        failed.append(shard.failed)
        for place, message in sorted(shard.failures.items()):
            row = first_rows[number * shard_size + place]
            messages.append(f"row {row + 1}: {message}")
    index = {"rows": torch.tensor(rows, dtype=torch.int64), "failed": torch.cat(failed)}
    save_whole(out / "rows.safetensors", index)
    return tuple(messages)


def summary_json(summary: Summary, out: Path) -> dict[str, Any]:
    """For machines."""
    size = sum(file.stat().st_size for file in out.glob("*.safetensors"))
    return {"out": str(out), "bytes": size, **asdict(summary)}
