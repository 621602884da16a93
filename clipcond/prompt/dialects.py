"""`parse` and the table of dialects. A dialect is a function from source to prompt."""

from collections.abc import Callable

from clipcond.errors import ClipcondError, PromptSyntaxError
from clipcond.prompt import a1111, comfy, compel
from clipcond.prompt.tree import Fixed, Fragment, Prompt


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
        ClipcondError: there is no such dialect.
    """
    _check_encodable(text)
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
    if dialect not in DIALECTS:
        raise ClipcondError(f"no dialect {dialect!r}; there are {', '.join(DIALECTS)}")


def _check_encodable(text: str) -> None:
    """Half of a surrogate pair is no character: no tokenizer, file or terminal takes it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PromptSyntaxError(
            f"{text[error.start]!r} is half of a surrogate pair, not a character",
            text,
            (error.start, error.start + 1),
            "the text was decoded wrongly before it came here; decode it as UTF-8",
        ) from None
