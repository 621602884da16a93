"""`parse` and the table of dialects; each is told by its own file."""

import reprlib

from clipcond.errors import ClipcondError, PromptSyntaxError
from clipcond.prompt.a1111 import A1111
from clipcond.prompt.a1111_plus import A1111_PLUS
from clipcond.prompt.comfy import COMFY
from clipcond.prompt.compel import COMPEL
from clipcond.prompt.contract import Dialect
from clipcond.prompt.plain import PLAIN
from clipcond.prompt.tree import Prompt

_REPAIRS = {
    "NoneType": 'an empty prompt is ""',
    "bytes": "decode it: text.decode()",
}

DIALECTS: dict[str, Dialect] = {own.name: own for own in (A1111, A1111_PLUS, COMFY, COMPEL, PLAIN)}
"""Every dialect by its name."""


def parse(text: str, dialect: str = "a1111", *, strict: bool = False) -> Prompt:
    """Read a prompt.

    Args:
        text: the prompt as typed.
        dialect: "a1111" (AUTOMATIC1111's web UI), "comfy" (ComfyUI), "compel", each as that program reads it,
            "a1111+" (with AND_PERP, AND_SALT and AND_TOPK), or "plain" (no syntax).
        strict: raise the first diagnostic instead of recording it.

    Raises:
        PromptSyntaxError: the prompt means nothing in its dialect: a weight that is no finite number, brackets
            nested too deep, half a surrogate pair; or, when strict, anything that looks like a mistake.
        ClipcondError: `text` is no string, or there is no such dialect.
    """
    check_text(text)
    check_dialect(dialect)
    prompt = DIALECTS[dialect].read(text)
    if strict and prompt.diagnostics:
        first = prompt.diagnostics[0]
        raise PromptSyntaxError(first.message, text, first.span, first.hint)
    return prompt


def check_dialect(dialect: str) -> None:
    """Refuse a dialect that does not exist.

    Raises:
        ClipcondError: naming those that do.
    """
    if not isinstance(dialect, str) or dialect not in DIALECTS:
        raise ClipcondError(f"no dialect {dialect!r}; there are {', '.join(DIALECTS)}")


def check_text(text: str) -> None:
    """Refuse what is no prompt.

    Raises:
        ClipcondError: it is no string.
        PromptSyntaxError: it has half of a surrogate pair, which no tokenizer, file or terminal takes.
    """
    if not isinstance(text, str):
        kind = type(text).__name__
        repair = _REPAIRS.get(kind, "give one prompt, a str, at a time")
        raise ClipcondError(f"a prompt is a str, not {kind}: {reprlib.repr(text)}; {repair}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptSyntaxError(
            f"{text[error.start]!r} is half of a surrogate pair, not a character",
            text,
            (error.start, error.start + 1),
            "the text was decoded wrongly before it came here; decode it as UTF-8",
        ) from None
