"""Shards on this machine: in this process, or in several."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Any

from clipcond.bulk.shards import Finish, Shard, Work
from clipcond.errors import ClipcondError

_AHEAD = 2  # shards that are prepared while one is finished
_A_WORKER = 2  # shards that each worker has been given

_mine: list[tuple[Work, Finish]] = []  # a worker process's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """This machine.

    Attributes:
        workers: processes; one is this one.
    """

    workers: int = 1

    def run(self, work: Work, shards: Iterator[Shard]) -> Iterator[Shard]:
        """Finish each shard, and give it when it is."""
        return _here(work, shards) if self.workers == 1 else _spread(work, shards, self.workers)


def _here(work: Work, shards: Iterator[Shard]) -> Iterator[Shard]:
    """In this process; the next shards are prepared meanwhile."""
    finish: Finish | None = None
    with ThreadPoolExecutor(_AHEAD, "prepare") as pool:

        def prepare(shard: Shard) -> Future[Any]:
            return pool.submit(work.prepare, shard)

        for shard, prepared in _ahead(shards, prepare, _AHEAD):
            finish = finish or work.worker()
            finish(shard, prepared.result())
            yield shard


def _spread(work: Work, shards: Iterator[Shard], workers: int) -> Iterator[Shard]:
    """In processes of their own, each with its share of the cores."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    # a fork would copy what torch's threads hold locked
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(work, threads),
    )
    try:
        for _, finished in _ahead(
            shards, lambda shard: pool.submit(_do, shard), _A_WORKER * workers
        ):
            yield finished.result()
    except BrokenProcessPool:
        raise ClipcondError(
            "a worker died (of memory, most likely); take fewer workers, and run the same again to go on"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ahead(
    shards: Iterator[Shard], submit: Callable[[Shard], Future[Any]], ahead: int
) -> Iterator[tuple[Shard, Future[Any]]]:
    """Each shard with its future, so many submitted before the first is waited for."""
    waiting: deque[tuple[Shard, Future[Any]]] = deque()
    try:
        while True:
            waiting.extend((s, submit(s)) for s in islice(shards, ahead + 1 - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft()
    finally:
        for _, future in waiting:
            future.cancel()


def _begin(work: Work, threads: int) -> None:
    """A worker process's first steps: it must not outlive the one that began it, nor take all cores."""
    import torch

    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent,), daemon=True).start()
    torch.set_num_threads(threads)
    _mine.append((work, work.worker()))


def _die_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _do(shard: Shard) -> Shard:
    work, finish = _mine[0]
    finish(shard, work.prepare(shard))
    return shard
