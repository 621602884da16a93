"""A1111's dialect with the keywords of its extension Neutral Prompt, which divide a prompt as AND does.

    a fox AND_PERP orange :-1   less of what is orange and not a fox: Perp-Neg
    a fox AND_SALT a pumpkin    the pumpkin where its pull stands out more than the fox's
    a fox AND_TOPK a pumpkin    the fox, and the strongest twentieth of the pumpkin's pull

What each does to a picture is the denoiser's business; here they are data: `Prompt.operators`. What is unusual: the
first branch has no keyword and is AND. One thing differs on purpose: the extension's brackets that hold branches of
their own are noted, not read; a keyword divides inside brackets as well, as AND does.
"""

import re
from collections.abc import Sequence

from clipcond.prompt import a1111, hints
from clipcond.prompt.contract import Dialect
from clipcond.prompt.tree import Lora, Prompt

_KEYWORD = re.compile(r"\bAND(?:_(?:PERP|SALT|TOPK))?\b")


def read(source: str) -> Prompt:
    """Read a whole prompt; see `a1111.read_as`."""
    return a1111.read_as(source, A1111_PLUS, at_keywords)


def at_keywords(text: str) -> list[re.Match[str]]:
    """Each keyword of a text."""
    return list(_KEYWORD.finditer(text)) if "AND" in text else []


def write(prompt: Prompt, loras: Sequence[Lora]) -> str:
    """See `a1111.write_as`."""
    return a1111.write_as(prompt, loras, prompt.operators)


A1111_PLUS = Dialect(
    name="a1111+",
    read=read,
    write=write,
    hints=(
        *(hint for hint in a1111.A1111.hints if hint is not hints.AND_PLUS),
        (
            re.compile(
                r"\bAND_(?!(?:PERP|SALT|TOPK)\b)\w++|\bAND[ -](?:PERP|SALT|TOPK)\b|\band_(?:perp|salt|topk)\b"
            ),
            "this is no operator: there are AND, AND_PERP, AND_SALT and AND_TOPK",
            "write it in capitals, with its underscore",
        ),
        (
            re.compile(rf"{_KEYWORD.pattern}\s*+\[[^\[\]]*?{_KEYWORD.pattern}"),
            "branches do not nest: a keyword divides inside brackets too",
            "take the brackets out",
        ),
    ),
    joint="AND or BREAK",
    breaks=True,
    schedules=True,
)
