"""Who does the shards: one call for all engines, with one progress bar, and one way to stop and go on."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from tqdm.auto import tqdm

from clipcond.bulk.local import Local
from clipcond.bulk.ray import Ray
from clipcond.bulk.shards import Shard, Work
from clipcond.errors import ClipcondError

ENGINES = ("local", "ray")


@runtime_checkable
class Engine(Protocol):
    """Whatever finishes shards."""

    def run(self, work: Work, shards: Iterator[Shard]) -> Iterator[Shard]:
        """Finish each shard, and give it when it is; shards are read a few ahead, and finished in any order."""
        ...


def find_engine(name: str = "local", *, workers: int = 1, address: str | None = None) -> Engine:
    """An engine by its name.

    Args:
        name: "local" (this machine) or "ray" (a cluster; `pip install 'clipcond[ray]'`).
        workers: how many at once; one locally is this very process.
        address: of a Ray cluster, as `ray.init` takes it; None starts a local one, or takes the one it runs in.

    Raises:
        ClipcondError: no such engine, or an address for a local one.
    """
    if workers < 1:
        raise ClipcondError(f"workers: got {workers}; needs at least 1")
    if name == "ray":
        return Ray(workers=workers, address=address)
    if name != "local":
        raise ClipcondError(f"engine: got {name!r}; choose one of {', '.join(ENGINES)}")
    if address is not None:
        raise ClipcondError(f"address {address!r} is of a Ray cluster; choose the engine ray too")
    return Local(workers=workers)


def complete(
    work: Work, shards: Iterable[Shard], engine: Engine, *, total: int, unit: str
) -> tuple[int, ...]:
    """Do the shards whose files are missing, and say which those were, in order.

    Args:
        work: what is done with each.
        shards: all of them; read once.
        engine: who does it.
        total: items of all shards, for the bar.
        unit: what the items are called, e.g. "prompts".

    Raises:
        ClipcondError: what a worker says.
        KeyboardInterrupt: saying how much is done.
    """
    made: list[int] = []
    left = total
    with tqdm(total=total, unit=f" {unit}", disable=None) as bar:

        def advance(shard: Shard, *, before: bool) -> None:
            nonlocal left
            left -= len(shard.items)
            if before and not bar.disable:  # no part of the rate
                bar.initial += len(shard.items)
            bar.update(len(shard.items))

        def missing() -> Iterator[Shard]:
            for shard in shards:
                if shard.file.exists():
                    advance(shard, before=True)
                else:
                    yield shard

        try:
            for shard in engine.run(work, missing()):
                made.append(shard.number)
                advance(shard, before=False)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted: {total - left:,} of {total:,} {unit} are done; run the same again to go on"
            ) from None
    return tuple(sorted(made))
