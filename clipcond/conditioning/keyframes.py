"""Conditionings over the steps: keyframes, and what lies between them."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import torch

from clipcond.conditioning.algebra import together
from clipcond.conditioning.report import EncoderReport, Report
from clipcond.conditioning.telling import told
from clipcond.conditioning.value import Conditioning
from clipcond.errors import ClipcondError
from clipcond.families.inputs import NAMES, NEGATIVE, POSITIVE, Inputs
from clipcond.hooks.easing import CURVES, EASINGS
from clipcond.hooks.program import Keyframes, Part, Script


def schedule(
    keys: Sequence[tuple[int | float, Conditioning]], *, easing: str = "linear", curve: str = "lerp"
) -> Conditioning:
    """Conditionings over the steps of a run, as one that acts through `attached`; what lies between two is interpolated.

        slowly = clipcond.schedule([(0.0, fox), (0.4, pumpkin)], easing="smooth")
        with slowly.attached(pipe):
            image = pipe(**slowly.kwargs_for(pipe)).images[0]

    Args:
        keys: (share of the executed steps, what is said from there on its way to the next); the first share is 0, they
            rise, and the last is below 1 where it is to be reached.
        easing: how time goes between two: "linear", "smooth" (slow at both ends) or "step" (not at all, then at once).
        curve: which way: "lerp" (straight) or "slerp" (each token along a great circle).

    Raises:
        ClipcondError: shares that do not rise from 0, no such easing or curve, or conditionings of other families,
            shapes or numbers of prompts, or that change by themselves.
    """
    shares = tuple(float(share) for share, _ in keys)
    _check(shares, easing, curve)
    states = [conditioning for _, conditioning in keys]
    if states[0].is_dynamic:
        raise ClipcondError(
            "schedule: a conditioning of it changes over the steps itself, is composed or has regions; give plain ones"
        )
    whole = together(states)
    sides = {side: _stacked([state.sides[side] for state in states]) for side in whole.sides}
    scripts = {
        side: _scripts(len(inputs.embeds), shares, easing, curve)
        for side, inputs in whole.sides.items()
    }
    report = Report(
        encoders={
            slot: EncoderReport(
                prompts=told(seen.prompts, scripts[POSITIVE], 0, None),
                negative_prompts=told(seen.negative_prompts, scripts.get(NEGATIVE, ()), 0, None),
            )
            for slot, seen in whole.report.encoders.items()
        }
    )
    return replace(
        whole,
        positive=sides[POSITIVE],
        negative=sides.get(NEGATIVE),
        scripts=scripts,
        report=report,
    )


def _scripts(
    prompts: int, shares: tuple[float, ...], easing: str, curve: str
) -> tuple[Script, ...]:
    """Each prompt through its own rows, which lie as far apart as there are prompts."""
    tracks = [
        Keyframes(shares, tuple(range(prompt, prompts * len(shares), prompts)), easing, curve)
        for prompt in range(prompts)
    ]
    return tuple(Script((Part(track),)) for track in tracks)


def _check(shares: Sequence[float], easing: str, curve: str) -> None:
    if not shares or shares[0] != 0 or not all(a < b <= 1 for a, b in pairwise(shares)):
        raise ClipcondError(
            f"schedule: the shares {list(shares)} do not rise from 0 to at most 1; write [(0.0, a), (0.4, b)]"
        )
    for name, value, known in (("easing", easing, EASINGS), ("curve", curve, CURVES)):
        if value not in known:
            raise ClipcondError(f"schedule: no {name} {value!r}; there are {', '.join(known)}")


def _stacked(states: Sequence[Inputs]) -> Inputs:
    """The rows of all, one after the other."""
    tensors = {own: [getattr(inputs, own) for inputs in states] for own in NAMES}
    return replace(
        states[0], **{own: torch.cat(each) for own, each in tensors.items() if each[0] is not None}
    )
