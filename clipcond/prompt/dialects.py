"""`parse` and the table of dialects. A dialect is a function from source to prompt."""

import reprlib
from collections.abc import Callable

from clipcond.errors import ClipcondError, PromptSyntaxError
from clipcond.prompt import a1111, comfy, compel
from clipcond.prompt.tree import Fixed, Fragment, Prompt

_REPAIRS = {
    "NoneType": 'an empty prompt is ""',
    "bytes": "decode it: text.decode()",
}


def _read_plain(source: str) -> Prompt:
    """No syntax at all: every character is text."""
    return Prompt(source, "plain", Fixed(source, (Fragment(source, 1.0, (0, len(source))),)))


DIALECTS: dict[str, Callable[[str], Prompt]] = {
    "a1111": a1111.read,
    "comfy": comfy.read,
    "compel": compel.read,
    "plain": _read_plain,
}


def parse(text: str, dialect: str = "a1111", *, strict: bool = False) -> Prompt:
    """Read a prompt.

    Args:
        text: the prompt as typed.
        dialect: "a1111" (AUTOMATIC1111's web UI), "comfy" (ComfyUI), "compel", each as that program reads it, or
            "plain" (no syntax).
        strict: raise the first diagnostic instead of recording it.

    Raises:
        PromptSyntaxError: the prompt means nothing in its dialect: a weight that is no finite number, brackets
            nested too deep, half a surrogate pair; or, when strict, anything that looks like a mistake.
        ClipcondError: `text` is no string, or there is no such dialect.
    """
    check_text(text)
    check_dialect(dialect)
    prompt = DIALECTS[dialect](text)
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
