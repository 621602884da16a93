"""What text encoders gave for a side of a call, and what a denoiser reads of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Bool, Float, Shaped

T = TypeVar("T")
POSITIVE, NEGATIVE = "positive", "negative"
# what a call asks for, by name; a side that it does not ask for is not there
Sides = Mapping[str, T]

# each of a denoiser's text inputs by its name in `Conditioning`; the negative side's has "negative_" before it
NAMES = {
    "embeds": "prompt_embeds",
    "pooled": "pooled_prompt_embeds",
    "mask": "prompt_attention_mask",
    "embeds_2": "prompt_embeds_2",
    "mask_2": "prompt_attention_mask_2",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """One encoder's result for every prompt of a side.

    Attributes:
        states: all of one length.
        pooled: None where the encoder has none (T5).
        content: where there is more than padding.
        layers: how many layers' states follow each other on the channels.
    """

    states: Float[torch.Tensor, "prompts tokens dim"]
    pooled: Float[torch.Tensor, "prompts pooled_dim"] | None
    content: Bool[torch.Tensor, "prompts tokens"]
    layers: int = 1

    @property
    def vector(self) -> Float[torch.Tensor, "prompts pooled_dim"]:
        """The pooled vector of an encoder that has one."""
        if self.pooled is None:
            raise ValueError("the encoder has no pooled vector")
        return self.pooled


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a family's text encoders gave for one side: `results["text_encoder"]`, ...

    Attributes:
        encoders: by the pipelines' names; an optional one may not be there.
        width: of the denoiser's text states; 0 where the pipeline has text encoders only.
        t5_length: positions of a T5's row.
    """

    encoders: Mapping[str, Encoded]
    width: int
    t5_length: int

    def __getitem__(self, slot: str) -> Encoded:
        return self.encoders[slot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """A denoiser's text inputs.

    Attributes:
        embeds: what its cross-attention reads.
        pooled: what its time embedding reads, or None.
        mask: which tokens it is to look at, or None.
        embeds_2: a second sequence that it reads beside the first, or None.
        mask_2: which of its tokens it is to look at.
    """

    embeds: Float[torch.Tensor, "prompts tokens dim"]
    pooled: Shaped[torch.Tensor, "prompts ..."] | None = None
    mask: Shaped[torch.Tensor, "prompts tokens"] | None = None
    embeds_2: Float[torch.Tensor, "prompts tokens_2 *layers dim_2"] | None = None
    mask_2: Shaped[torch.Tensor, "prompts tokens_2"] | None = None

    @property
    def seen(self) -> Shaped[torch.Tensor, "prompts tokens"]:
        """Which tokens the denoiser is to look at: all where there is no mask."""
        return self.embeds.new_ones(self.embeds.shape[:2]) if self.mask is None else self.mask

    @property
    def longest(self) -> int:
        """Positions that the denoiser looks at in the longest prompt."""
        return int(self.seen.sum(1).max())

    def cut(self, length: int) -> "Inputs":
        """Those of the first positions only."""
        mask = None if self.mask is None else self.mask[:, :length]
        return replace(self, embeds=self.embeds[:, :length], mask=mask)

    def each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Inputs":
        """The same with every tensor changed."""
        found = {own: getattr(self, own) for own in NAMES}
        return replace(self, **{own: change(t) for own, t in found.items() if t is not None})

    def zeros(self) -> "Inputs":
        """Zeros of the same shapes."""
        return self.each(torch.zeros_like)

    def rows(self, rows: Sequence[int]) -> "Inputs":
        """Those of some prompts, in the order given."""
        return self.each(lambda tensor: tensor[list(rows)])

    def beginnings(self, rows: Sequence[Sequence[int]]) -> "Inputs":
        """The first of the rows of each prompt; a mask looks at whatever one of them looks at."""
        firsts = self.rows([each[0] for each in rows])
        masks = {own: getattr(self, own) for own in ("mask", "mask_2")}
        seen = {
            own: torch.stack([mask[list(each)].amax(0) for each in rows])
            for own, mask in masks.items()
            if mask is not None
        }
        return replace(firsts, **seen)

    def named(self, side: str) -> Iterator[tuple[str, torch.Tensor]]:
        """The tensors that there are, by `Conditioning`'s names for a side."""
        for own, name in NAMES.items():
            tensor = getattr(self, own)
            if tensor is not None:
                yield name if side == POSITIVE else f"{side}_{name}", tensor


# an assembler: what a family's denoiser reads of what its encoders gave
Assemble = Callable[[Results], Inputs]


def states(results: Results) -> Inputs:
    """The one encoder's states."""
    return Inputs(embeds=results["text_encoder"].states)


def masked(results: Results) -> Inputs:
    """The one encoder's states, and which of them are the prompt's."""
    found = results["text_encoder"]
    return Inputs(embeds=found.states, mask=found.content.long())


def bool_masked(results: Results) -> Inputs:
    """The same as true and false."""
    found = results["text_encoder"]
    return Inputs(embeds=found.states, mask=found.content)


# what depends on all sides together, or on a side as a whole, done to them at last
Finish = Callable[[Sides[Inputs]], Sides[Inputs]]


def as_assembled(sides: Sides[Inputs]) -> Sides[Inputs]:
    """Most denoisers read each side as it is."""
    return sides


def each_trimmed(sides: Sides[Inputs]) -> Sides[Inputs]:
    """Each side without the positions that its mask leaves out for all of its prompts."""
    return {side: inputs.cut(inputs.longest) for side, inputs in sides.items()}
