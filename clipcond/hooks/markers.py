"""What a pipeline is handed in place of texts while we are inside it: tensors that only say whose row they are.

Pipelines put rows of both sides together, repeat them for frames and pictures, cast and reorder them, each in its own
way. A row that carries its number can be found again in whatever the denoiser is called with, where its content could
not: a prompt that begins with nothing, `[:fox:0.5]`, looks like the empty negative prompt.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from clipcond.errors import ClipcondError
from clipcond.families.handover import HeldTensor
from clipcond.families.inputs import NEGATIVE, POSITIVE, Inputs, Sides

# the fields that carry numbers, and their signs: whole numbers that half precision, of 8 bits, holds as they are
SIGNS = {"embeds": -171.0, "pooled": -173.0, "embeds_2": -179.0}
_BASE = 128  # a number's two digits
_ORDER = (POSITIVE, NEGATIVE)


@dataclass(frozen=True, slots=True)
class Who:
    """Whose row it is: of which side, and of which of its prompts."""

    side: str
    prompt: int


@dataclass(frozen=True, slots=True)
class Found:
    """Marked rows of a tensor.

    Attributes:
        field: of `Inputs`.
        dim: the dimension along which the rows lie.
        rows: whose they are; None for one that the pipeline put there itself.
    """

    field: str
    dim: int
    rows: tuple[Who | None, ...]


def marked(sides: Sides[Inputs], *, second: bool) -> Sides[Inputs]:
    """Inputs of the same shapes whose rows say whose they are; masks stay, as pipelines may look at them.

    Args:
        sides: what each prompt begins with.
        second: whether anything is ever said in the second sequence: a pipeline may ask whether it is all zeros.
    """
    fields = [field for field in SIGNS if second or field != "embeds_2"]
    return {side: _marked(inputs, _ORDER.index(side), fields) for side, inputs in sides.items()}


def _marked(inputs: Inputs, side: int, fields: Sequence[str]) -> Inputs:
    changed = {}
    for field in fields:
        tensor, sign = getattr(inputs, field), SIGNS[field]
        if tensor is not None:
            changed[field] = torch.stack([
                _row(row, sign, 2 * number + side) for number, row in enumerate(tensor)
            ])  # fmt: skip
    return replace(inputs, **changed)


def _row(like: torch.Tensor, sign: float, number: int) -> torch.Tensor:
    if number >= _BASE * _BASE:
        raise ClipcondError(f"{number // 2} prompts in one call: draw at most {_BASE * _BASE // 2}")
    pattern = like.new_tensor([sign, number // _BASE, number % _BASE])
    width = like.shape[-1]
    return pattern.repeat(-(-width // 3))[:width].expand_as(like).clone()


def find(tensor: torch.Tensor, widths: Mapping[str, int]) -> Found | None:
    """The marked rows of a tensor that a denoiser is called with; None if it has none.

    Args:
        tensor: any.
        widths: of each field's last dimension.
    """
    for field, sign in SIGNS.items():
        if (
            tensor.ndim < 2
            or not tensor.is_floating_point()
            or tensor.shape[-1] != widths.get(field)
        ):
            continue
        # HiDream's second sequence has its layers first
        dim = 1 if field == "embeds_2" and tensor.ndim == 4 else 0
        heads = tensor.movedim(dim, 0).flatten(1)[:, :3].tolist()
        rows = tuple(_who(head) if head[0] == sign else None for head in heads)
        if any(rows):
            return Found(field, dim, rows)
    return None


def _who(head: list[float]) -> Who:
    number = int(head[1]) * _BASE + int(head[2])
    return Who(_ORDER[number % 2], number // 2)


class Marked(HeldTensor):
    """A tensor of marked rows, of use only while someone inside the pipeline is there to replace them.

    The first operation on it asks whether there is, and gives a plain tensor.
    """

    replaced: Callable[[], bool]

    @classmethod
    def of(cls, tensor: torch.Tensor, replaced: Callable[[], bool]) -> "Marked":
        """The tensor, which asks `replaced` before it is read."""
        found = tensor.as_subclass(cls)
        found.replaced = replaced
        return found

    @classmethod
    def __torch_function__(  # type: ignore[override] # its base's is torch's own, in C
        cls,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        if func.__name__ != "__get__":
            for tensor in _marked_among(args):
                if not tensor.replaced():
                    raise ClipcondError(
                        "these arguments were made for calls within `with conditioning.attached(pipe):`, which has ended; "
                        "call kwargs_for and the pipeline within it"
                    )
        with torch._C.DisableTorchFunctionSubclass():  # noqa: SLF001 no public name
            return func(*args, **(kwargs or {}))


def _marked_among(args: Any) -> Iterator[Marked]:
    for arg in args:
        if isinstance(arg, Marked):
            yield arg
        elif isinstance(arg, list | tuple):
            yield from _marked_among(arg)
