"""The dialect of AUTOMATIC1111's web UI, in the order in which that program reads it.

    # comment         to the end of the line, taken out before anything else is read
    <lora:name:0.8>   a tag: `clipcond.prompt.a1111_tags`; taken out of `Prompt.without_tags`, text to `parse` alone
    a :1 AND b :0.5   two branches, composed in noise space with these weights: `clipcond.prompt.a1111_branches`
    [a:b:0.5] [a|b]   schedules: `clipcond.prompt.a1111_schedule`
    (a:1.3) [b]       weights, read in what each step says: `clipcond.prompt.a1111_weights`

What is unusual: AND divides first, even inside brackets; schedules are resolved before weights are read, so they may
hold brackets, weights, even halves of words. One thing differs on purpose: only a prompt with AND has branch weights.
The web UI reads `a cat, 16:9` as "a cat, 16" of weight 9, unless it is a negative prompt, which cannot be told from
the text; a number at the end is text here, and noted.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from clipcond.prompt import a1111_branches as branches
from clipcond.prompt import a1111_tags as tags
from clipcond.prompt import hints
from clipcond.prompt.contract import Dialect
from clipcond.prompt.excerpt import Excerpt
from clipcond.prompt.tree import Diagnostic, Lora, Prompt, Span
from clipcond.prompt.writing import digits, pieces_of

# a line that is only a comment goes with its end, unless the line before it just did
_COMMENT = re.compile(r"\n#[^\n]*+\n|#[^\n]*+")
# AND_PERP and its like divide in a1111+ alone; text is written so that neither dialect divides at it
_PLUS = r"\b(AN)(D_(?:PERP|SALT|TOPK))\b"
_PLUS_KEYWORD = re.compile(_PLUS)
_KEYWORD = re.compile(rf"\b(BRE)(AK)\b|\b(AN)(D)\b|{_PLUS}|(<\w++)(:)")
_BRANCH_END = re.compile(r"\s\Z|:\s*[-+]?[\d.]+\Z")


def read(source: str) -> Prompt:
    """Read a whole prompt; see `read_as`."""
    return read_as(source, A1111, branches.at_and)


def read_as(source: str, dialect: Dialect, divide: branches.Divide) -> Prompt:
    """Read a whole prompt in a dialect of this family.

    Args:
        source: the prompt as typed.
        dialect: whose name it gets and whose hints are given.
        divide: a text -> the keywords that divide it.

    Raises:
        PromptSyntaxError: a weight or a step is no finite number, or brackets are nested deeper than `MAX_DEPTH`.
    """
    hidden = _comments(source)
    said = Excerpt.whole(source).without(hidden)
    tagged = tags.read(said.text)
    bare = said.without([tag.span for tag in tagged.tags])
    notes = (
        *hints.note_comments(source, hidden),
        *said.place_notes(tagged.notes),
        *bare.place_notes(
            [*hints.foreign(bare.text, dialect.hints), *_end_weight(bare.text, divide)]
        ),
    )
    prompt = branches.read(said, notes, dialect.name, divide)
    if not tagged.tags:
        return prompt
    return replace(
        prompt,
        loras=tuple(replace(lora, span=said.place(lora.span)) for lora in tagged.loras),
        tags=tuple(replace(tag, span=said.place(tag.span)) for tag in tagged.tags),
        untagged=branches.read(bare, notes, dialect.name, divide),
    )


def _comments(source: str) -> list[Span]:
    if "#" not in source:
        return []
    found = [comment.span() for comment in _COMMENT.finditer(source)]
    return [(start + (source[start] == "\n"), end) for start, end in found]


def _end_weight(text: str, divide: branches.Divide) -> tuple[Diagnostic, ...]:
    """A number that the web UI reads as the weight of a whole prompt without AND."""
    end = len(text.rstrip())
    colon = text.rfind(":", 0, end)
    number = branches.WEIGHT.fullmatch(text, colon + 1, end) if colon >= 0 else None
    if number is None or divide(text):
        return ()
    message = f"{text[colon:end]!r} at the end is text here; the web UI weighs a whole prompt by it, but a negative one"
    hint = f"end with a comma if it is text: {text[colon:end]},"
    if text[:colon].rstrip().endswith(")"):
        hint = f"write it inside the bracket to weigh words: (words{text[colon:end]})"
    return (Diagnostic(message, (colon, end), hint),)


def write(prompt: Prompt, loras: Sequence[Lora]) -> str:
    """See `write_as`; the keyword is AND everywhere."""
    return write_as(prompt, loras, ("AND",) * len(prompt.branches))


def write_as(prompt: Prompt, loras: Sequence[Lora], operators: Sequence[str]) -> str:
    """Tags first; weights as (text:weight); schedules as they were. Windows of their own come nearest to `concat`."""
    text = "".join(map(_lora_tag, loras))
    written = [_written(branch) for branch, _ in prompt.branches]
    if prompt.joined in ("", "concat"):
        return text + " BREAK ".join(written)
    for number, (operator, own, (_, weight)) in enumerate(
        zip(operators, written, prompt.branches, strict=True)
    ):
        if number:
            is_glued = re.match(r"\w", own)
            text += f" {operator}" + ((prompt.separator or "()") if is_glued else "")
        text += own
        if weight != 1:
            text += f" :{digits(weight)}"
        elif _BRANCH_END.search(own):
            text += "()"
    return text


def _lora_tag(lora: Lora) -> str:
    unet = f":{digits(lora.unet_weight)}" if lora.unet_weight != lora.weight else ""
    return f"<lora:{lora.name}:{digits(lora.weight)}{unet}>"


def _written(branch: Prompt) -> str:
    if branch.is_scheduled:
        return _PLUS_KEYWORD.sub(r"\1()\2", branch.content.text)
    pieces = pieces_of(branch)
    written = ""
    for i, piece in enumerate(pieces):
        before, after = pieces[max(0, i - 1)], pieces[min(i + 1, len(pieces) - 1)]
        if piece.is_break and before.weight == after.weight == 1:
            written += "() BREAK" if before.text[-1:].isspace() else " BREAK"
            written += "()" if after.text[:1].isspace() else " "
        elif piece.weight != 1:
            written += f"({_escaped(piece.text)}:{digits(piece.weight)})"
        elif piece.text:
            written += _escaped(piece.text)
        elif len(pieces) > 1 and not (before.is_break or after.is_break):
            written += f"({_escaped('')}:1)"
    return written


def _escaped(text: str) -> str:
    """Text that is read as itself; brackets with nothing inside cut a keyword, a lone backslash is empty text."""
    escaped = re.sub(r"[\\()\[\]]", r"\\\g<0>", text)
    return _KEYWORD.sub(lambda found: "()".join(filter(None, found.groups())), escaped) or "\\"


A1111 = Dialect(
    name="a1111",
    read=read,
    write=write,
    hints=(
        *hints.UNREAD,
        *hints.NEARLY,
        # at the end of a branch, of a1111+ too, it is that branch's weight
        (
            re.compile(rf"{hints.LATE_WEIGHT}(?!\s*+(?:AND(?:_(?:PERP|SALT|TOPK))?\b|\Z))"),
            "a weight after its bracket is text here",
            hints.INSIDE,
        ),
        (
            re.compile(r"\[[^\[\]:|]*+:\s*+(?:1\.0*+[1-9]\d*+|[2-9]\.\d++)\s*+\]"),
            "this comes after more than all of the steps: it is never said",
            "square brackets take no weight: write (words:1.3)",
        ),
        (
            re.compile(r"<\s*+(?:lora|lyco|hypernet)\s*+:", re.IGNORECASE),
            "this tag is never closed, or has blanks in its first word: it is text",
            "write <lora:name:0.8>",
        ),
        hints.COMPEL_WEIGHT,
        hints.COMPEL_OPERATOR,
        hints.AND_PLUS,
    ),
    joint="AND or BREAK",
    breaks=True,
    schedules=True,
)
