"""Steps of the stream, read by workers: every process its share of each step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import torch
from torch.utils.data import DataLoader, Sampler

from clipcond.clip.training.batch import Batch
from clipcond.clip.training.stream import Broken, Preparation, Sample, Stream
from clipcond.errors import ClipcondError

_PIECE = 64  # pictures that a worker reads at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A process's share of a step.

    Attributes:
        step: from 0.
        batch: the pairs that could be read; perhaps none.
        broken: the rows that could not, and are not in the batch.
        cut: captions that lost their end.
    """

    step: int
    batch: Batch
    broken: tuple[Broken, ...]
    cut: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """What a worker read: samples, their pictures in one tensor instead of in each."""

    pixels: torch.Tensor | None
    texts: list[tuple[tuple[int, ...], int, int, int]]
    broken: list[Broken]
    cut: int


def batches(
    stream: Stream,
    *,
    size: int,
    first: int = 0,
    last: int | None = None,
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
) -> Iterator[Loaded]:
    """This process's share of the steps [first, last), or without end.

    Step s is the places [s size, (s + 1) size) of the stream. Each process takes a run of them, nearly as many as each other;
    all shares one after another are the same at every `world`, and with any number of workers. torch's random numbers are
    left alone.

    Args:
        stream: what is read.
        size: pictures of a step, over all processes.
        first: step to begin with.
        last: step to end before; None for no end.
        rank: which process this is.
        world: how many there are.
        workers: processes of this process that read; 0 for itself.

    Raises:
        ClipcondError: no picture a step, or a worker died.
    """
    if size < 1:
        raise ClipcondError(f"batch: got {size} pictures a step; needs 1 or more")
    steps = _Pieces(size=size, first=first, last=last, rank=rank, world=world)
    pieces = _read(stream, steps, workers)
    for step in steps.steps():
        with dead_workers():
            share = [next(pieces) for _ in steps.of(step)]
        yield _joined(step, share, stream.preparation)


@contextmanager
def dead_workers() -> Iterator[None]:
    """Says in a line that a worker died, which torch raises wherever the program is just then.

    Raises:
        ClipcondError: one did.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        reason = str(error).splitlines()[0].strip()
        raise ClipcondError(
            f"a process that reads pictures died ({reason}); most often the memory or the shared memory was full: take fewer "
            "workers (0 for none) or a smaller batch, or give the container more (--shm-size)"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pieces(Sampler[list[int]]):
    """Places of the stream that a process reads, piece by piece."""

    size: int
    first: int
    last: int | None
    rank: int
    world: int

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps():
            yield from self.of(step)

    def steps(self) -> Iterator[int]:
        """The numbers of the steps."""
        yield from count(self.first) if self.last is None else range(self.first, self.last)

    def of(self, step: int) -> list[list[int]]:
        """The pieces of this process's share of a step; none of an empty share."""
        start, end = self._bound(self.rank), self._bound(self.rank + 1)
        places = range(step * self.size + start, step * self.size + end)
        return [list(places[at : at + _PIECE]) for at in range(0, len(places), _PIECE)]

    def _bound(self, rank: int) -> int:
        return rank * self.size // self.world


def _read(stream: Stream, pieces: _Pieces, workers: int) -> Iterator[_Piece]:
    """The pieces in order; workers are a step ahead."""
    ahead = None
    if workers:
        ahead = max(2, -(-2 * len(pieces.of(0)) // workers))
    loader = DataLoader(
        stream,
        batch_sampler=pieces,
        collate_fn=_collected,
        num_workers=workers,
        prefetch_factor=ahead,
        worker_init_fn=_begin,
        generator=torch.Generator(),  # or it would draw from the program's own
    )
    yield from loader


def _begin(_worker: int) -> None:
    """Set up a worker: the tokenizer warns that it was forked unless it is told to use one thread, as all workers do."""
    import os

    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def _collected(found: Sequence[Sample | Broken]) -> _Piece:
    samples = [each for each in found if isinstance(each, Sample)]
    return _Piece(
        torch.stack([each.pixels for each in samples]) if samples else None,
        [(each.ids, each.end, each.picture, each.caption) for each in samples],
        [each for each in found if isinstance(each, Broken)],
        sum(each.cut for each in samples),
    )


def _joined(step: int, pieces: Sequence[_Piece], preparation: Preparation) -> Loaded:
    pixels = [piece.pixels for piece in pieces if piece.pixels is not None]
    texts = [text for piece in pieces for text in piece.texts]
    length = preparation.length(max((len(ids) for ids, *_ in texts), default=0))
    tokens = [preparation.reader.filled(list(ids), length) for ids, *_ in texts]
    ends, pictures, captions = (
        torch.tensor([text[at] for text in texts], dtype=torch.int64) for at in (1, 2, 3)
    )
    empty = torch.zeros(0, 3, *preparation.preprocessing.crop)
    return Loaded(
        step=step,
        batch=Batch(
            pixels=pixels[0] if len(pixels) == 1 else torch.cat([empty, *pixels]),
            tokens=torch.tensor(tokens, dtype=torch.int64).reshape(len(texts), length),
            ends=ends,
            pictures=pictures,
            captions=captions,
        ),
        broken=tuple(each for piece in pieces for each in piece.broken),
        cut=sum(piece.cut for piece in pieces),
    )
