"""Conditionings as values: between two of them, and one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import torch

from clipcond.conditioning.report import EncoderReport, EncoderStats, Report, Stats
from clipcond.conditioning.value import Conditioning
from clipcond.errors import ClipcondError
from clipcond.families import interpolation
from clipcond.families.finding import family_named
from clipcond.families.inputs import NAMES, Inputs

Pair = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def lerp(a: Conditioning, b: Conditioning, t: float) -> Conditioning:
    """a + t (b - a), pooled vectors and negative prompts included; t beyond 0..1 extrapolates.

    Raises:
        ClipcondError: of other families or shapes.
    """
    return _combined(a, b, _between(lambda x, y: interpolation.lerp(x, y, t)))


def slerp(a: Conditioning, b: Conditioning, t: float) -> Conditioning:
    """From a to b along a great circle, each token (and pooled vector) on its own (Shoemake 1985).

    Raises:
        ClipcondError: of other families or shapes.
    """
    return _combined(a, b, _between(lambda x, y: interpolation.slerp(x, y, t)))


def _between(pair: Pair) -> dict[str, Pair]:
    """What is done to each of two inputs' tensors; a token is looked at for either's sake."""
    between = dict.fromkeys(("embeds", "pooled", "embeds_2"), pair)
    return {**between, "mask": torch.maximum, "mask_2": torch.maximum}


def concat(a: Conditioning, b: Conditioning) -> Conditioning:
    """The tokens of a, then those of b; pooled vectors are a's.

    Raises:
        ClipcondError: of other families, widths or numbers of prompts, or of one whose denoiser takes one length only.
    """
    if a.family == b.family and family_named(a.family).fixed:
        raise ClipcondError(
            f"concat: the denoiser of {a.family} takes {a.prompt_embeds.shape[1]} tokens and no more; use lerp"
        )
    after = dict.fromkeys(
        ("embeds", "mask", "embeds_2", "mask_2"), lambda x, y: torch.cat([x, y], 1)
    )
    return _combined(a, b, after, any_length=True)


def together(conditionings: Sequence[Conditioning]) -> Conditioning:
    """The first, with what all of them cost and report.

    Raises:
        ClipcondError: of other families, shapes or numbers of prompts.
    """
    kept = dict.fromkeys(NAMES, lambda x, _: x)
    return reduce(lambda a, b: _combined(a, b, kept), conditionings)


def _combined(
    a: Conditioning, b: Conditioning, pairs: dict[str, Pair], *, any_length: bool = False
) -> Conditioning:
    """Both of them as one; what no pair is for is a's."""
    if a.family != b.family:
        raise ClipcondError(
            f"a is for {a.family} and b for {b.family}; make both with one Conditioner"
        )
    if a.is_dynamic or b.is_dynamic:
        raise ClipcondError(
            "one of the two changes over the steps itself, is composed or has regions; take those that say one thing"
        )
    positive = _paired("", a.positive, b.positive, pairs, any_length=any_length)
    negative = None
    if a.negative is not None and b.negative is not None:
        negative = _paired("negative_", a.negative, b.negative, pairs, any_length=any_length)
    elif a.negative is not b.negative:
        raise _only_one("negative_prompt_embeds")
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
    return replace(
        a,
        positive=positive,
        negative=negative,
        negative_given=a.negative_given or b.negative_given,
        stats=Stats(stats),
        report=Report(encoders=reports),
    )


def _paired(side: str, a: Inputs, b: Inputs, pairs: dict[str, Pair], *, any_length: bool) -> Inputs:
    changed = {}
    for field, pair in pairs.items():
        x, y = getattr(a, field), getattr(b, field)
        if x is None and y is None:
            continue
        name = f"{side}{NAMES[field]}"
        if x is None or y is None:
            raise _only_one(name)
        _check_shapes(name, x, y, any_length=any_length)
        changed[field] = pair(x, y.to(x.device))
    return replace(a, **changed)


def _only_one(name: str) -> ClipcondError:
    return ClipcondError(f"only one of the two has {name}; give both a negative prompt, or neither")


def _check_shapes(name: str, x: torch.Tensor, y: torch.Tensor, *, any_length: bool) -> None:
    ours, theirs = list(x.shape), list(y.shape)
    if any_length:
        ours[1] = theirs[1]
    if ours != theirs:
        raise ClipcondError(
            f"{name} is {tuple(x.shape)} in a and {tuple(y.shape)} in b; condition both prompts in one call, as a "
            "list, and they get one length"
        )
