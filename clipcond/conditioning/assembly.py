"""What a family's denoiser reads, from what its text encoders gave for every side of a call."""

import math
from collections.abc import Mapping, Sequence

import torch

from clipcond.conditioning.reading import Reading
from clipcond.errors import PromptSyntaxError
from clipcond.families.contract import Family
from clipcond.families.inputs import Encoded, Inputs, Sides

_LARGE = 1000.0


def assemble(
    family: Family, encoded: Mapping[str, Sides[Encoded]], width: int, t5_length: int
) -> Sides[Inputs]:
    """The inputs of each side.

    Args:
        family: whose denoiser it is.
        encoded: encoder slot -> what it gave.
        width: of the denoiser's text states; 0 where that is not known.
        t5_length: positions of a row of a T5 or a language model.
    """
    sides = next(iter(encoded.values()))
    return family.finish(
        {
            side: family.assemble(
                {slot: found[side] for slot, found in encoded.items()}, width, t5_length
            )
            for side in sides
        }
    )


def check_finite(sides: Sides[Inputs], readings: Sides[Sequence[Reading]]) -> None:
    """Weights large enough to leave the encoder's dtype are an error, not a black picture.

    Raises:
        PromptSyntaxError: they have.
    """
    for side, inputs in sides.items():
        for embeds in (inputs.embeds, inputs.embeds_2):
            if embeds is not None:
                for reading, states in zip(readings[side], embeds, strict=True):
                    _check_finite(states, reading)


def _check_finite(states: torch.Tensor, reading: Reading) -> None:
    """States are of order 1 to 30, so only weights over 1000 can (half precision ends at 65504); the tensors are looked
    at only then, since looking waits for the device.
    """
    weighed = [(f, part) for part, _ in reading.prompt.branches for f in part.fragments()]
    if not weighed:
        return
    fragment, part = max(weighed, key=lambda pair: abs(pair[0].weight))
    if abs(fragment.weight) > _LARGE and not math.isfinite(states.abs().max().item()):
        raise PromptSyntaxError(
            f"the weight {fragment.weight:.4g} is more than {states.dtype} states can take",
            part.text,
            fragment.span,
            "lower it: weights beyond 2 rarely help",
        )
