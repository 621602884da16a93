"""What one call of a pipeline leaves of its attention: for each picture and each text that it read, a sum of maps."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch.nn import functional as F

from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.families.inputs import POSITIVE
from clipcond.hooks.attention import Attention
from clipcond.hooks.blending import grid_of
from clipcond.hooks.looking import Layout, Ranges, bounded, ranges, shares
from clipcond.hooks.run import Look, Run
from clipcond.hooks.words import Texts

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What to look at.

    Attributes:
        layout: where the text is among the keys.
        layers: what the names of the modules begin with; empty for all.
        steps: shares of the run between which to look.
        heads: their numbers; empty for all.
    """

    layout: Layout
    layers: tuple[str, ...]
    steps: tuple[float, float]
    heads: tuple[int, ...]


@dataclass(slots=True)
class Sum:
    """What was seen of one text in one picture.

    Attributes:
        maps: [tokens, h, w] by the size of the layers.
        looks: how many layers of how many steps have been added.
    """

    maps: dict[Size, torch.Tensor] = field(default_factory=dict)
    looks: float = 0.0

    def add(self, maps: Float[torch.Tensor, "tokens h w"], weight: float) -> None:
        """One layer of one step more; `weight` is the text's part in what was read."""
        size = (maps.shape[1], maps.shape[2])
        before = self.maps.get(size)
        self.maps[size] = weight * maps if before is None else before.add_(maps, alpha=weight)
        self.looks += weight


@dataclass(slots=True, eq=False)
class Seen:
    """What was seen in one call.

    Attributes:
        run: the call.
        texts: what it was told; None for strings, of which nothing is known.
        sums: by picture and row of the texts.
        pictures: how many it draws.
    """

    run: Run
    texts: Texts | None
    sums: dict[tuple[int, int], Sum] = field(default_factory=dict)
    pictures: int = 0

    def mean(self, word: str, texts: Texts) -> Float[torch.Tensor, "pictures h w"]:
        """As `AttentionMaps.of`."""
        found = texts.find(word)
        if not any(row in found for _, row in self.sums):
            raise ClipcondError(
                f"{word!r}: it was not read in the steps that were looked at; choose more of them"
            )
        sizes = [size for each in self.sums.values() for size in each.maps]
        largest = max(sizes, key=lambda size: size[0] * size[1])
        maps = torch.zeros(self.pictures, *largest)
        for picture in range(self.pictures):
            own = {row: self.sums[picture, row] for row in found if (picture, row) in self.sums}
            looks = sum(each.looks for each in own.values())
            for row, each in own.items():
                for summed in each.maps.values():
                    part = summed[found[row]].sum(0).cpu() / looks
                    maps[picture] += F.interpolate(part[None, None], largest, mode="bilinear")[0, 0]
        return maps


class Watch:
    """Someone who sees the attentions of one forward, and adds what they give to the sums."""

    def __init__(self, seen: Seen, texts: Texts, look: Look, chosen: Chosen) -> None:
        self._seen, self._length, self._look, self._chosen = seen, texts.length, look, chosen
        self._rows = _rows(look, texts)
        self._places: int | None = None
        seen.pictures = max([seen.pictures, *(1 + picture for _, picture, _ in self._rows)])

    def __call__(self, attention: Attention) -> torch.Tensor | None:
        """Nothing is changed."""
        where = ranges(attention, self._chosen.layout, self._length, self._places)
        if where is not None:
            self._places = where.places.stop - where.places.start
            if not self._chosen.layers or attention.name.startswith(self._chosen.layers):
                with torch.no_grad():
                    self._add(attention, where)
        return attention.mask

    def _add(self, attention: Attention, where: Ranges) -> None:
        jobs, (rows, heads) = len(self._look.jobs), attention.query.shape[:2]
        if rows % jobs:
            raise UnsupportedPipelineError(
                f"attention maps: {attention.name} attends for {rows} rows of {jobs} at once, and whose they are is not "
                "known; draw without perturbed attention guidance"
            )
        if self._chosen.heads and max(self._chosen.heads) >= heads:
            raise ClipcondError(
                f"heads: got {list(self._chosen.heads)}, and {attention.name} has {heads}: they are numbered from 0"
            )
        each = rows // jobs  # frames of a film that is attended to one by one
        for job, picture, texts in self._rows:
            frames = [
                shares(attention, row, where, self._chosen.heads)
                for row in range(job * each, (job + 1) * each)
            ]
            maps = bounded(_laid_out(torch.stack(frames).mean(0), self._look, alone=each == 1))
            for row, weight in texts:
                self._seen.sums.setdefault((picture, row), Sum()).add(maps, weight)


def _rows(look: Look, texts: Texts) -> list[tuple[int, int, list[tuple[int, float]]]]:
    """(row of the forward, picture, rows of the texts that it reads and how much of each) for every positive row."""
    own = [
        (number, job)
        for number, job in enumerate(look.jobs)
        if job.who and job.who.side == POSITIVE
    ]
    order = sorted({job.source for _, job in own})
    rows = []
    for number, job in own:
        picture = order.index(job.source)
        if job.text is None:
            read = [(picture // texts.pictures, 1.0)]
        else:
            mixed = job.text
            both = [(mixed.row, 1 - mixed.share), (mixed.other, mixed.share)]
            read = [(row, weight) for row, weight in both if weight]
        rows.append((number, picture, read))
    return rows


def _laid_out(
    shares: Float[torch.Tensor, "tokens places"], look: Look, *, alone: bool
) -> Float[torch.Tensor, "tokens h w"]:
    """Places as they lie in the picture; of a film whose frames are in one row, alone, in their mean."""
    height, width = _proportions(look)
    places, frames = shares.shape[1], 1
    if alone and look.sample.ndim == 5 and places % look.sample.shape[2] == 0:
        frames = look.sample.shape[2]
    rows, columns = grid_of(places // frames, height, width)
    return shares.reshape(len(shares), frames, rows, columns).mean(1)


def _proportions(look: Look) -> tuple[int, int]:
    """Height and width of what is drawn, in whatever unit: of the noisy picture, or where that is a sequence, as asked."""
    if look.sample.ndim > 3:
        return look.sample.shape[-2], look.sample.shape[-1]
    height, width = (look.run.arguments.get(name) for name in ("height", "width"))
    return (height, width) if height and width else (1, 1)
