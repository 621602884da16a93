"""AND against "and", and what AND_PERP takes away that a plain negative prompt leaves."""

import argparse
from typing import Any

import numpy as np

from weights.lab.drawing import Studio, seen
from weights.lab.evaluate import Pair, weighted_pairs
from weights.lab.reports import Json, draw_band, interval, percent, points, table

PAIRS, SEEDS = 24, 1
WEIGHTS = (0.5, 1.0, 1.5, 2.0)
_WHITE = " on a white background"

# ways to ask for both objects, of both phrases
BOTH = {
    "and": "{a} and {b}",
    "AND": "{a} AND {b}",
    "AND, halves": "{a} :0.5 AND {b} :0.5",
    "AND, same background": "{a}{white} AND {b}{white}",
    "AND, both true": "{a} and {b} AND {a} and {b}{white}",
}
# ways to take the second away again
WITHOUT = {
    "AND_PERP": "{a} and {b} AND_PERP {b} :-{weight}",
    "AND": "{a} and {b} AND {b} :-{weight}",
}


def measure(studio: Studio, _args: argparse.Namespace) -> Json:
    """How often both objects are there, and how often each when the second is not wanted."""
    pairs = weighted_pairs("held_out", PAIRS)
    plain = {"and": found(studio, pairs, "{a} and {b}"), "negative": _negated(studio, pairs)}
    both = {
        name: plain["and"] if name == "and" else found(studio, pairs, prompt)
        for name, prompt in BOTH.items()
    }
    without = {
        name: [found(studio, pairs, prompt, weight=weight) for weight in WEIGHTS]
        for name, prompt in WITHOUT.items()
    }
    return {
        "seeds": SEEDS,
        "both": {name: together(there) for name, there in both.items()},
        "plain": removal(plain["and"]),
        "negative": removal(plain["negative"]),
        "weights": list(WEIGHTS),
        "without": {name: [removal(t) for t in each] for name, each in without.items()},
        "more removed": [
            interval((plain["negative"] - there)[..., 1].mean(1)) for there in without["AND_PERP"]
        ],
    }


def found(studio: Studio, pairs: list[Pair], prompt: str, **values: float) -> np.ndarray:
    """Whether each object is there, [pairs, pictures, 2], of a prompt with places for both phrases."""
    prompts = [prompt.format(a=a, b=b, white=_WHITE, **values) for _, _, a, b, _ in pairs]
    rows = studio.table(prompts, SEEDS, prompt.format(a="A", b="B", white="", **values))
    return seen(rows, [pair[:2] for pair in pairs]).astype(float)


def _negated(studio: Studio, pairs: list[Pair]) -> np.ndarray:
    prompts = [f"{a} and {b}" for _, _, a, b, _ in pairs]
    rows = studio.table(prompts, SEEDS, "negative", negative_prompt=[pair[3] for pair in pairs])
    return seen(rows, [pair[:2] for pair in pairs]).astype(float)


def together(there: np.ndarray) -> Json:
    """How often both, exactly one, or none of the objects is there."""
    count = there.sum(2)
    return {
        name: interval((count == number).mean(1))
        for number, name in enumerate(("none", "one", "both"))
    }


def removal(there: np.ndarray) -> Json:
    """How often the first object is kept, the second gone, and both of that."""
    kept, gone = there[..., 0], 1 - there[..., 1]
    return {
        "kept": interval(kept.mean(1)),
        "gone": interval(gone.mean(1)),
        "as asked": interval((kept * gone).mean(1)),
    }


def told(found: Json) -> dict[str, str]:
    """For the page."""
    head = ("", "the first is kept", "the second is gone", "both of that")
    rows = [("`A and B`", found["plain"]), ("`A and B`, negative prompt `B`", found["negative"])]
    rows += [
        (f"`A and B {name} B :-{weight:g}`", there)
        for name, each in found["without"].items()
        for weight, there in zip(found["weights"], each, strict=True)
    ]
    return {
        "both": table(
            ("prompt", "both", "one of them", "none"),
            [
                (
                    f"`{BOTH[name].format(a='A', b='B', white=_WHITE)}`",
                    *(percent(there[key]) for key in ("both", "one", "none")),
                )
                for name, there in found["both"].items()
            ],
        ),
        "removed": table(
            head,
            [(name, *(percent(there[k]) for k in ("kept", "gone", "as asked"))) for name, there in rows],
        ),
        "composed": str(found["plain"]["kept"]["prompts"]),
        "composed_seeds": str(found["seeds"]),
        "more_removed": points(found["more removed"][-1]),
    }  # fmt: skip


def plot(found: Json, axes: Any) -> None:
    """What is kept and what is gone against the weight."""
    for name, color in (("AND_PERP", "tab:red"), ("AND", "tab:blue")):
        each = found["without"][name]
        for key, style in (("gone", "-"), ("kept", ":")):
            draw_band(
                axes,
                found["weights"],
                [there[key] for there in each],
                label=f"{name}: {'B is gone' if key == 'gone' else 'A is kept'}",
                color=color,
                linestyle=style,
            )
    axes.axhline(found["negative"]["gone"]["mean"], color="0.4", label="negative prompt: B is gone")
    axes.set(xlabel="weight, below 0", title="A and B, without B", ylim=(0, 1.5))
    axes.legend(frameon=False, loc="upper center", ncols=2, fontsize="small")
