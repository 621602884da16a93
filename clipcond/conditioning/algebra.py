"""Conditionings as values: between two of them, and one after the other."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float

from clipcond.conditioning.report import EncoderReport, Report
from clipcond.conditioning.value import Conditioning, EncoderStats, Stats
from clipcond.errors import ClipcondError
from clipcond.families.finding import family_named

_PARALLEL = 1e-4  # radians: below it the sphere is flat
Pair = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
_EMBEDS = (
    "prompt_embeds",
    "negative_prompt_embeds",
    "prompt_embeds_2",
    "negative_prompt_embeds_2",
)
_MASKS = (
    "prompt_attention_mask",
    "negative_prompt_attention_mask",
    "prompt_attention_mask_2",
    "negative_prompt_attention_mask_2",
)
_POOLED = ("pooled_prompt_embeds", "negative_pooled_prompt_embeds")


def lerp(a: Conditioning, b: Conditioning, t: float) -> Conditioning:
    """a + t (b - a), pooled vectors and negative prompts included; t beyond 0..1 extrapolates.

    Raises:
        ClipcondError: of other families or shapes.
    """

    def between(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.lerp(x.float(), y.float(), t).to(x.dtype)

    return _combine(a, b, between, names=(*_EMBEDS, *_POOLED))


def slerp(a: Conditioning, b: Conditioning, t: float) -> Conditioning:
    """From a to b along a great circle, each token (and pooled vector) on its own (Shoemake 1985).

    Raises:
        ClipcondError: of other families or shapes.
    """
    return _combine(a, b, lambda x, y: _slerp(x, y, t), names=(*_EMBEDS, *_POOLED))


def _slerp(
    x: Float[torch.Tensor, "*batch dim"], y: Float[torch.Tensor, "*batch dim"], t: float
) -> Float[torch.Tensor, "*batch dim"]:
    one, other = x.double(), y.double()
    lengths = one.norm(dim=-1, keepdim=True) * other.norm(dim=-1, keepdim=True)
    cosine = ((one * other).sum(-1, keepdim=True) / lengths.clamp(min=1e-30)).clamp(-1, 1)
    angle = cosine.acos()
    flat = (angle < _PARALLEL) | (torch.pi - angle < _PARALLEL)
    safe = torch.where(flat, 1.0, angle)
    curved = (((1 - t) * safe).sin() * one + (t * safe).sin() * other) / safe.sin()
    return torch.where(flat, torch.lerp(one, other, t), curved).to(x.dtype)


def concat(a: Conditioning, b: Conditioning) -> Conditioning:
    """The tokens of a, then those of b; pooled vectors are a's.

    Raises:
        ClipcondError: of other families, widths or numbers of prompts, or of one whose denoiser takes one length only.
    """
    if a.family == b.family and family_named(a.family).fixed:
        raise ClipcondError(
            f"concat: the denoiser of {a.family} takes {a.prompt_embeds.shape[1]} tokens and no more; use lerp"
        )
    return _combine(a, b, lambda x, y: torch.cat([x, y], dim=1), names=_EMBEDS, any_length=True)


def _combine(
    a: Conditioning,
    b: Conditioning,
    pair: Pair,
    *,
    names: tuple[str, ...],
    any_length: bool = False,
) -> Conditioning:
    if a.family != b.family:
        raise ClipcondError(
            f"a is for {a.family} and b for {b.family}; make both with one Conditioner"
        )
    changed = {}
    for name in names:
        x, y = getattr(a, name), getattr(b, name)
        if x is None and y is None:
            continue
        if x is None or y is None:
            raise ClipcondError(
                f"only one of the two has {name}; give both a negative prompt, or neither"
            )
        _check_shapes(name, x, y, any_length=any_length)
        changed[name] = pair(x, y.to(x.device))
    stats = {
        slot: EncoderStats(s.calls + b.stats[slot].calls, s.rows + b.stats[slot].rows)
        for slot, s in a.stats.encoders.items()
    }
    reports = {
        slot: EncoderReport(
            prompts=seen.prompts + b.report.encoders[slot].prompts,
            negative_prompts=seen.negative_prompts + b.report.encoders[slot].negative_prompts,
        )
        for slot, seen in a.report.encoders.items()
    }
    for name in _MASKS:
        x, y = getattr(a, name), getattr(b, name)
        if (
            x is not None and y is not None
        ):  # tokens after one another, or looked at for either's sake
            changed[name] = torch.cat([x, y], 1) if any_length else torch.maximum(x, y)
    given = a.negative_given or b.negative_given
    return replace(
        a, **changed, stats=Stats(stats), report=Report(encoders=reports), negative_given=given
    )


def _check_shapes(name: str, x: torch.Tensor, y: torch.Tensor, *, any_length: bool) -> None:
    ours, theirs = list(x.shape), list(y.shape)
    if any_length and x.ndim > 2:
        ours[1] = theirs[1]
    if ours != theirs:
        raise ClipcondError(
            f"{name} is {tuple(x.shape)} in a and {tuple(y.shape)} in b; condition both prompts in one call, as a "
            "list, and they get one length"
        )
