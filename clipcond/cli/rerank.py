"""`clipcond rerank`: what can be typed."""

from dataclasses import dataclass
from pathlib import Path

from clipcond.cli.arguments import JUDGE, ClipRequest, argument, group, option
from clipcond.cli.values import count, finite, share


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """sort a folder's pictures by how well they match a prompt"""

    folder: Path = argument("DIR", "holds the pictures", type=Path)
    prompt: str = option("TEXT", "plain text to match", required=True)
    clip: ClipRequest = group(*JUDGE)
    top: int | None = option("K", "how many to show (default: all)", type=count)
    minimum: float | None = option("S", "leave out pictures that score less", type=finite)
    diversity: float = option(
        "D", "0 to 1: the more, the less alike the pictures shown", default=0.0, type=share
    )
    judge: str | None = option("C", "another CLIP that has no say, to check the choice with")
    move: Path | None = option("OUT", "move the pictures shown to this folder", type=Path)
    json: bool
