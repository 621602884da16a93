"""Regions by attention: each place of the picture reads the text that is said there.

Where a layer reads the text alone, it is run for each text, and what these give is blended. Where text and picture are
one sequence, all texts are in it, one behind the other, and a mask tells who sees whom.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch.nn import functional as F

from clipcond.encoders.threads import uncompiled
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.families.inputs import POSITIVE
from clipcond.hooks.attention import Attention, attending, attention_modules
from clipcond.hooks.blending import blend, grid_of
from clipcond.hooks.interception import intercepted
from clipcond.hooks.picture import places_of
from clipcond.hooks.plan import Job
from clipcond.hooks.region import Region, shares
from clipcond.hooks.rows import Call, taken
from clipcond.hooks.run import Look
from clipcond.hooks.states import States

# what a layer that reads the text takes a row of for each of its own, in its order
_ROWS = ("hidden_states", "encoder_hidden_states", "attention_mask")
_TEXT_FIRST = {"Flux.1": True, "Stable Diffusion 3": False}


@contextmanager
def in_places(look: Look) -> Iterator[None]:
    """Meanwhile, a forward of a denoiser, or of a ControlNet, reads in each place what is said there.

    Where the family has its regions by noise, and where no row has any, it is as it was.

    Raises:
        UnsupportedPipelineError: its attention does not see the texts and the picture as it should.
        ClipcondError: its attention is watched, by who knows one text a row.
    """
    session = look.run.session
    states = session.attached
    with ExitStack() as stack:
        if session.maps is not None and any(job.places for job in look.jobs):
            raise ClipcondError(
                f"attention maps: regions of {session.family.name} have several texts read in one attention, which maps do "
                "not follow; draw without regions, or without attention_maps"
            )
        if states is not None and states.room > 1:
            stack.enter_context(_jointly(look, states))
        elif states is not None and any(job.places for job in look.jobs):
            stack.enter_context(_across(look, states))
        yield


def _regions(states: States, job: Job) -> tuple[Region, ...]:
    """Where a row reads something else than its own text."""
    if job.who is None or not job.places:
        return ()
    return tuple(place.region for place in states.scripts[job.who.side][job.who.prompt].places)


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """A row that reads something else in places.

    Attributes:
        regions: where.
        texts: and what.
    """

    regions: tuple[Region, ...]
    texts: tuple[Float[torch.Tensor, "tokens dim"], ...]

    @classmethod
    def of(cls, states: States, job: Job) -> "_Reader":
        """A job."""
        texts = [states.at(job.who, "embeds", text) for text in job.places if job.who]
        return cls(_regions(states, job), tuple(texts))


@dataclass(frozen=True, slots=True, eq=False)
class _Reading:
    """A forward whose layers read text alone.

    Attributes:
        readers: its rows.
        size: height and width of the noisy pictures.
    """

    readers: Sequence[_Reader]
    size: tuple[int, int]
    _shares: dict[int, list[torch.Tensor]] = field(default_factory=dict, init=False)

    def shares(self, positions: int) -> list[Float[torch.Tensor, "parts positions"]]:
        """For each row how much of each position is its own text's, then each of the others', in a layer of so many."""
        if positions not in self._shares:
            grid = grid_of(positions, *self.size)
            self._shares[positions] = [shares(r.regions, *grid).flatten(1) for r in self.readers]
        return self._shares[positions]


@contextmanager
def _across(look: Look, states: States) -> Iterator[None]:
    readers = [_Reader.of(states, job) for job in look.jobs]
    attend = partial(_attend, _Reading(readers, places_of(look.run, look.sample)))
    with ExitStack() as stack:
        stack.enter_context(uncompiled([look.module]))
        for layer in attention_modules(look.module).values():
            stack.enter_context(intercepted(layer, attend))
        yield


def _attend(
    reading: _Reading,
    own: Callable[..., torch.Tensor],
    hidden_states: torch.Tensor,
    *args: Any,
    **kwargs: Any,
) -> torch.Tensor:
    """A layer's call: a row for each text that is read anywhere; and of what these give, in each place each its share.

    The layer's processor does it, whichever that is.

    Args:
        reading: what the rows read.
        own: the layer's own call.
        hidden_states: [rows * frames, positions, dim].
        *args: what else the layer takes. `encoder_hidden_states` are the rows' own texts, or a tuple of these and of an
            IP-Adapter's pictures; None where it reads no text.
        **kwargs: likewise.
    """
    given = {**dict(zip(_ROWS[1:], args, strict=False)), **kwargs, "hidden_states": hidden_states}
    if given.get("encoder_hidden_states") is None:
        return own(hidden_states, *args, **kwargs)
    rows = len(hidden_states)
    frames = rows // len(reading.readers)
    each = reading.shares(hidden_states.shape[1])
    said = [
        (row, number, share[:, None])
        for row in range(rows)
        for number, share in enumerate(each[row // frames])
        if share.any()
    ]
    sources = [row for row, *_ in said]
    ours = Call((), {name: given.pop(name) for name in _ROWS if name in given})
    changed = ours.changed(lambda _, tensor: taken(tensor, sources, rows)).kwargs
    texts = changed["encoder_hidden_states"]
    for text, (row, number, _) in zip(_text(texts), said, strict=True):
        if number:
            other = reading.readers[row // frames].texts[number - 1]
            text[: len(other)] = other.to(text)
    parts: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in range(rows)]
    for seen, (row, _, share) in zip(own(**changed, **given), said, strict=True):
        parts[row].append((share, seen))
    return torch.stack([blend(part) for part in parts])


def _text(states: Any) -> torch.Tensor:
    """The texts among what a layer reads."""
    text: torch.Tensor = states[0] if isinstance(states, tuple) else states
    return text


@contextmanager
def _jointly(look: Look, states: States) -> Iterator[None]:
    pipe, family = look.run.session.pipe, look.run.session.family
    height, width = places_of(look.run, look.sample)
    patch = getattr(pipe, family.denoiser).config.patch_size if look.sample.ndim > 3 else 1
    grid = height // patch, width // patch
    length = states.tensors[POSITIVE, "embeds"].shape[1]
    masks = torch.stack([
        _mask(
            shares(_regions(states, job), *grid).flatten(1),
            states.room,
            length,
            text_first=_TEXT_FIRST[family.name],
        )
        for job in look.jobs
    ])[:, None].to(look.sample)  # fmt: skip
    seen: list[str] = []

    def change(attention: Attention) -> torch.Tensor | None:
        query = attention.query
        if not query.shape[2] == attention.key.shape[2] == masks.shape[-1]:
            return attention.mask
        seen.append(attention.name)
        mask = masks.to(query)
        if attention.mask is None:
            return mask
        if attention.mask.dtype == torch.bool:
            return mask.masked_fill(~attention.mask, -torch.inf)
        return mask + attention.mask

    with attending(look.module, change):
        yield
    if not seen:
        raise UnsupportedPipelineError(
            f"regions: no attention of {type(look.module).__name__} has {states.room} x {length} positions of text and "
            f"{grid[0]} x {grid[1]} of the picture: take a pipeline that reads nothing else"
        )


def _mask(
    each: Float[torch.Tensor, "parts positions"], room: int, length: int, *, text_first: bool
) -> Float[torch.Tensor, "sequence sequence"]:
    """What is added to a joint attention's products: 0 is seen, minus infinity is not.

    A place of the picture sees a text by its share there: softmax makes of a share's logarithm a factor. A text sees
    itself, and the places where it is seen, alike. All places see each other.

    Args:
        each: how much of each place is whose.
        room: how many texts there are; those beyond `each` are nobody's.
        length: tokens of each.
        text_first: whether the texts stand before the picture.
    """
    text = F.pad(each, (0, 0, 0, room - len(each))).log().repeat_interleave(length, 0)
    whose = torch.arange(room).repeat_interleave(length)
    own = torch.where(whose[:, None] == whose, 0.0, -torch.inf)
    picture = torch.zeros(each.shape[1], each.shape[1])
    if text_first:
        return torch.cat([torch.cat([own, text], 1), torch.cat([text.T, picture], 1)])
    return torch.cat([torch.cat([picture, text.T], 1), torch.cat([text, own], 1)])
