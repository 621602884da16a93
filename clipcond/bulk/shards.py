"""Shards, and what has to be done with each."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the work.

    Attributes:
        number: from 0.
        items: what it is a function of; pickled on its way to another process.
        file: what it leaves; there, whole, if and only if the shard is done.
    """

    number: int
    items: tuple[Any, ...]
    file: Path


Finish: TypeAlias = Callable[[Shard, Any], None]


def nothing(_shard: Shard) -> None:
    """What most shards need beforehand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is done with every shard. Both functions are pickled on their way to another process.

    Attributes:
        worker: loads what a worker needs, once in each, and gives what finishes its shards: called with a shard and what
            was prepared for it, it leaves the shard's file, written whole or not at all (`clipcond.files.write_whole`).
        prepare: what can be done ahead on any CPU, such as decoding pictures.
    """

    worker: Callable[[], Finish]
    prepare: Callable[[Shard], Any] = nothing


def cut(items: Iterable[Item], size: int, file: Callable[[int], Path]) -> Iterator[Shard]:
    """Items as shards of so many.

    Args:
        items: in their order; read as shards are asked for.
        size: of every shard but the last.
        file: number of a shard -> what it leaves.
    """
    for number, some in enumerate(batched(items, size)):
        yield Shard(number, some, file(number))


def batched(items: Iterable[Item], size: int) -> Iterator[tuple[Item, ...]]:
    """itertools.batched, which Python 3.11 has not."""
    left = iter(items)
    return iter(lambda: tuple(islice(left, size)), ())
