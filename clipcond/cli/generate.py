"""`clipcond generate`: what can be typed."""

from dataclasses import dataclass
from pathlib import Path

from clipcond.cli.arguments import (
    DEVICE,
    DIALECT,
    DTYPES,
    LONG_PROMPT,
    MODEL,
    REGIONS,
    WEIGHTING,
    WILDCARDS,
    argument,
    option,
)
from clipcond.cli.values import count, finite, interval, seed, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """draw candidates of a prompt, keep those that match it best"""

    text: str = argument("TEXT", "the prompt, in the dialect's syntax")
    negative: str | None = option("TEXT", "what to steer away from")
    candidates: int = option("N", "pictures to draw", default=8, type=count)
    keep: int | None = option("K", "best pictures to write (default: all drawn)", type=count)
    steps: int | None = option("N", "denoising steps (default: the model's)", type=count)
    guidance_scale: float | None = option(
        "G", "classifier-free guidance (default: the model's)", type=finite
    )
    guidance_interval: tuple[float, float] | None = option(
        "A:B",
        "guide between these shares of the steps only, such as 0.2:0.8; the others take half the work",
        type=interval,
    )
    attention: tuple[str, ...] | None = option(
        "WORDS",
        "write where each picture looks at these words of the prompt, such as fox,pumpkin; draws the kept ones again",
        type=words,
    )
    regions: Path | None = option("FILE", REGIONS, type=Path)
    seed: int = option("S", "of the first candidate", default=0, type=seed)
    batch_size: int | None = option(
        "N", "candidates at once (default: all); pictures do not depend on it", type=count
    )
    wildcards: Path | None = option("DIR", WILDCARDS, type=Path)
    model: str = option("M", MODEL, default="emoji")
    scorer: str | None = option(
        "C",
        "a CLIP folder, file or hub id that ranks (default: the model's own clip/, if it has one)",
    )
    dialect: str = option("D", DIALECT, default="a1111")
    weighting: str = option("W", WEIGHTING, default="comfy")
    long_prompt: str = option("P", LONG_PROMPT, default="a1111")
    out: Path = option("DIR", "where to write", default=Path("pictures"), type=Path)
    device: str | None = option(*DEVICE)
    dtype: str | None = option(
        None, "of the pipeline (default: float32 on the CPU, else float16)", choices=DTYPES
    )
    json: bool
