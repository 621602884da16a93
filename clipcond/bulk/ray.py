"""Shards on a Ray cluster (Moritz et al. 2018): decoding on its CPUs, models in actors, on GPUs where it has them.

Ray Data streams shards through both, holds back what is ahead, and does again what a dead worker left. Shards go there and
their files are written by path, so that workers on other machines need the same disk.
"""

import logging
import os
import pickle
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from clipcond.bulk.shards import Finish, Shard, Work, batched
from clipcond.errors import ClipcondError
from clipcond.files import first_line

_AT_ONCE = 4096  # shards that the cluster is told of at a time, since it wants a list


@dataclass(frozen=True, slots=True, kw_only=True)
class Ray:
    """A cluster.

    Attributes:
        workers: actors with a model each; where the cluster has GPUs, each has one.
        address: as `ray.init` takes it; None starts a local cluster, or takes the one that this process runs in.
    """

    workers: int = 1
    address: str | None = None

    def run(self, work: Work, shards: Iterator[Shard]) -> Iterator[Shard]:
        """Finish each shard, and give it when it is."""
        for some in batched(shards, _AT_ONCE):
            with _cluster(self.address, self.workers) as ray:
                yield from _streamed(ray, work, some, self.workers)


def _prepare(row: dict[str, Any], work: Work) -> dict[str, Any]:
    shard = pickle.loads(row["shard"])
    try:
        prepared = work.prepare(shard)
    except ClipcondError as error:
        prepared = error
    return {"prepared": pickle.dumps((shard, prepared))}


class _Actor:
    """A worker. What is wrong with the work itself goes back as a value: Ray would take an exception for an accident."""

    def __init__(self, work: Work) -> None:
        self._finish: Finish = work.worker()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        shard, prepared = pickle.loads(row["prepared"])
        error = prepared if isinstance(prepared, ClipcondError) else None
        if error is None:
            try:
                self._finish(shard, prepared)
            except ClipcondError as found:
                error = found
        return {"number": shard.number, "error": pickle.dumps(error)}


def _streamed(ray: Any, work: Work, shards: tuple[Shard, ...], workers: int) -> Iterator[Shard]:
    by_number = {shard.number: shard for shard in shards}
    packed = [{"shard": pickle.dumps(shard)} for shard in shards]
    gpus = 1 if ray.cluster_resources().get("GPU", 0) else 0
    pool = ray.data.ActorPoolStrategy(size=workers)
    found = (
        ray.data.from_items(packed, override_num_blocks=len(packed))
        .map(_prepare, fn_args=(work,))
        .map(_Actor, fn_constructor_args=(work,), compute=pool, num_gpus=gpus)
    )
    try:
        # closed before the cluster goes, which an error's traceback would put off: its threads are still asking it
        with closing(iter(found.iter_rows())) as rows:
            for row in rows:
                if error := pickle.loads(row["error"]):
                    raise error
                yield by_number[row["number"]]
    except ray.exceptions.RayError as error:
        raise ClipcondError(f"Ray: {first_line(error)}; run the same again to go on") from error


@contextmanager
def _cluster(address: str | None, workers: int) -> Iterator[Any]:
    """Ray, connected for the length of a block; a connection that was there before stays.

    Raises:
        ClipcondError: it is not installed, or there is no cluster at the address.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ClipcondError(
            f"the engine ray is not installed ({first_line(error)}): pip install 'clipcond[ray]', or take the engine local"
        ) from None
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    settings: Mapping[str, Any] = (
        {"address": address}
        if address
        # one core for what prepares, beside those of the actors
        else {"num_cpus": workers + 1, "include_dashboard": False}
    )
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **settings)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        raise ClipcondError(
            f"no Ray cluster at {address or 'this machine'} ({first_line(error)}); check the address"
        ) from error
    ray.data.DataContext.get_current().enable_progress_bars = False  # there is one already
    try:
        yield ray
    finally:
        ray.shutdown()
