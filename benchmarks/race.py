"""Two ways to do one thing, timed in turns in one process, beside the rate at which this machine multiplies matrices."""

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

ROUNDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What came of a race.

    Attributes:
        row: name/workload/peer.
        ours: this library's figure; a rate, or where `unit` names a time or a size, that.
        peer: the other's, or a limit that is set.
        unit: of both.
        ratio: how many times better ours is, the median over the rounds.
        ratio_min: the worst round.
        ratio_max: the best one.
        target: for the ratio; None where there is none.
        limit_share: of the rate of matrix products of these shapes in this run, which the least work that gives the result was
            done at; None where products are not what takes the time.
    """

    row: str
    ours: float
    peer: float
    unit: str
    ratio: float
    ratio_min: float
    ratio_max: float
    target: float | None = None
    limit_share: float | None = None

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.target is None or self.ratio >= self.target

    def limited(self, share: float) -> "Row":
        """The same with a share of another limit than that of matrix products."""
        return replace(self, limit_share=share)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self) | {"met": self.met}


@dataclass(frozen=True, slots=True)
class Products:
    """The least matrix products that give a result.

    Attributes:
        flops: of all of them.
        shape: (rows, in, out) of the most common one.
    """

    flops: float
    shape: tuple[int, int, int]


Clock = Callable[[Callable[[], object]], float]  # what to do -> seconds


def race(
    row: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    count: int,
    unit: str,
    device: torch.device,
    target: float | None = None,
    products: Products | None = None,
    rounds: int = ROUNDS,
) -> Row:
    """Time both in turns, after one turn that is not counted.

    Args:
        row: name/workload/peer.
        ours: one turn of this library.
        peer: one turn of the other.
        count: how many things a turn does.
        unit: of things a second.
        device: on a CPU the time of the process counts, on a GPU that between two events.
        target: for the ratio.
        products: what the turn cannot do without.
        rounds: turns of each.
    """
    clock = on_device if device.type == "cuda" else on_cpu
    ours(), peer()
    seconds = [(clock(ours), clock(peer)) for _ in range(rounds)]
    own = statistics.median(first for first, _ in seconds)
    share = None
    if products:
        share = products.flops / own / matrix_rate(products.shape, device, clock)
    return row_of(
        row,
        [(count / first, count / second) for first, second in seconds],
        unit=unit,
        target=target,
        limit_share=share,
    )


def row_of(
    row: str,
    rates: list[tuple[float, float]],
    *,
    unit: str,
    target: float | None = None,
    limit_share: float | None = None,
    less: bool = False,
) -> Row:
    """The row of some rounds of (ours, the peer's); `less` where less is better."""
    ratios = [peer / ours if less else ours / peer for ours, peer in rates]
    ratio = statistics.median(ratios)
    return Row(
        row=row,
        ours=statistics.median(ours for ours, _ in rates),
        peer=statistics.median(peer for _, peer in rates),
        unit=unit,
        ratio=ratio,
        ratio_min=min(ratios),
        ratio_max=max(ratios),
        target=target,
        limit_share=limit_share,
    )


def on_cpu(what: Callable[[], object]) -> float:
    """Seconds of this process's time on the CPU, which other processes do not lengthen."""
    start = time.process_time()
    what()
    return time.process_time() - start


def wall(what: Callable[[], object]) -> float:
    """Seconds on the clock, for what several threads do."""
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def on_device(what: Callable[[], object]) -> float:
    """Seconds between two events of the GPU."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    what()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1000


def matrix_rate(
    shape: tuple[int, int, int], device: torch.device, clock: Clock, dtype: Any = torch.float32
) -> float:
    """Floating-point operations a second of a product of these shapes: the best of some."""
    rows, inner, outer = shape
    a = torch.randn(rows, inner, device=device, dtype=dtype)
    b = torch.randn(inner, outer, device=device, dtype=dtype)
    flops = 2 * rows * inner * outer
    times = max(1, min(1000, round(2e10 / flops)))

    def products() -> None:
        for _ in range(times):
            a @ b

    products()
    return max(times * flops / clock(products) for _ in range(5))


def text_products(config: Any, rows: int, tokens: int, *, layers: int | None = None) -> Products:
    """Of a CLIP text transformer: `rows` rows of `tokens` tokens through its layers."""
    width, inner = config.hidden_size, config.intermediate_size
    layer = 2 * tokens * (4 * width**2 + 2 * width * inner) + 2 * 2 * tokens**2 * width
    count = config.num_hidden_layers if layers is None else layers
    return Products(float(rows * count * layer), (rows * tokens, width, inner))


def image_products(config: Any, rows: int) -> Products:
    """Of a CLIP vision transformer: `rows` pictures."""
    patches = (config.image_size // config.patch_size) ** 2
    width, inner, tokens = config.hidden_size, config.intermediate_size, patches + 1
    layer = 2 * tokens * (4 * width**2 + 2 * width * inner) + 2 * 2 * tokens**2 * width
    stem = 2 * patches * 3 * config.patch_size**2 * width
    flops = float(rows * (config.num_hidden_layers * layer + stem))
    return Products(flops, (rows * tokens, width, inner))


def check_equal(
    ours: torch.Tensor, peer: torch.Tensor, what: str, *, at_most: float = 1e-5
) -> None:
    """Refuse to time things that differ by more than that share of the largest number."""
    if ours.shape != peer.shape:
        raise SystemExit(f"{what}: differs in shape, {list(ours.shape)} and {list(peer.shape)}")
    gap = float((ours - peer).abs().max() / peer.abs().max().clamp(min=1e-12))
    if not gap <= at_most:
        raise SystemExit(f"{what}: differs by {gap:.2g} of scale, {at_most:g} is allowed")
