"""Prompts back to text: one writer for each dialect, from (prompt without tags, its LoRAs) to text.

A writer writes what its dialect can say and the nearest to what it cannot; `clipcond.prompt.render` reads the result
again and says what became of it.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import groupby

from clipcond.errors import PromptSyntaxError
from clipcond.prompt.compel_text import Scanner, fragments_of
from clipcond.prompt.tree import Lora, Prompt, Segment

Writer = Callable[[Prompt, Sequence[Lora]], str]

_KEYWORD = re.compile(r"\b(BRE)(AK)\b|\b(AN)(D)\b|(<\w++)(:)")
_COMMENT = re.compile(r"/(?=[/*])")
_BRANCH_END = re.compile(r"\s\Z|:\s*[-+]?[\d.]+\Z")
_COMPEL_SYNTAX = re.compile(r'[()",.+\-=\\]')
_LORA_NAME = re.compile(r"[A-Za-z0-9_-]+")


def write_a1111(prompt: Prompt, loras: Sequence[Lora]) -> str:
    """Tags first; weights as (text:weight); schedules as they were. Windows of their own come nearest to `concat`."""
    tags = "".join(map(_lora_tag, loras))
    branches = [(_a1111_branch(branch), weight) for branch, weight in prompt.branches]
    if prompt.joined in ("", "concat"):
        return tags + " BREAK ".join(written for written, _ in branches)
    text = tags
    for number, (written, weight) in enumerate(branches):
        if number:
            is_glued = re.match(r"\w", written)
            text += " AND" + ((prompt.separator or "()") if is_glued else "")
        text += written
        if weight != 1:
            text += f" :{_number(weight)}"
        elif _BRANCH_END.search(written):
            text += "()"
    return text


def _lora_tag(lora: Lora) -> str:
    unet = f":{_number(lora.unet_weight)}" if lora.unet_weight != lora.weight else ""
    return f"<lora:{lora.name}:{_number(lora.weight)}{unet}>"


def _a1111_branch(branch: Prompt) -> str:
    if branch.is_scheduled:
        return branch.content.text
    pieces = _pieces(branch)
    written = ""
    for i, piece in enumerate(pieces):
        before, after = pieces[max(0, i - 1)], pieces[min(i + 1, len(pieces) - 1)]
        if piece.is_break and before.weight == after.weight == 1:
            written += "() BREAK" if before.text[-1:].isspace() else " BREAK"
            written += "()" if after.text[:1].isspace() else " "
        elif piece.weight != 1:
            written += f"({_escape_a1111(piece.text)}:{_number(piece.weight)})"
        elif piece.text:
            written += _escape_a1111(piece.text)
        elif len(pieces) > 1 and not (before.is_break or after.is_break):
            written += f"({_escape_a1111('')}:1)"
    return written


def _escape_a1111(text: str) -> str:
    """Text that is read as itself; brackets with nothing inside cut a keyword, a lone backslash is empty text."""
    escaped = re.sub(r"[\\()\[\]]", r"\\\g<0>", text)
    return _KEYWORD.sub(lambda found: "()".join(filter(None, found.groups())), escaped) or "\\"


def write_comfy(prompt: Prompt, loras: Sequence[Lora]) -> str:  # noqa: ARG001 - it has no LoRAs
    """Weights as (text:weight), none inside another; neighbours of one weight stay apart."""
    written, is_bare = "", False
    for piece in _flat(prompt):
        escaped = re.sub(r"[()]", r"\\\g<0>", piece.text)
        escaped = _COMMENT.sub("/()", escaped)
        if piece.weight == 1 and not is_bare and not escaped.endswith("\\"):
            written, is_bare = written + escaped, True
        elif escaped:
            written, is_bare = f"{written}({escaped}:{_number(piece.weight)})", False
    return written


def write_plain(prompt: Prompt, loras: Sequence[Lora]) -> str:  # noqa: ARG001 - it has no LoRAs
    """The texts alone."""
    return "".join(piece.text for piece in _flat(prompt))


def write_compel(prompt: Prompt, loras: Sequence[Lora]) -> str:
    """Weights as (text)1.3; of `compose`, concatenation comes nearest. A weight below 0 becomes 0."""
    named = [
        f"withLora({lora.name}, {_number(lora.weight)})"
        for lora in loras
        if _LORA_NAME.fullmatch(lora.name)
    ]
    written = [_compel_branch(branch) for branch, _ in prompt.branches]
    if not prompt.joined:
        return " ".join([*written, *named])
    quoted = ", ".join(f'"{text}"' for text in written)
    weights = [_number(weight) for _, weight in prompt.branches]
    if prompt.joined == "blend":
        return " ".join([f"({quoted}).blend({', '.join(weights)}, no_normalize)", *named])
    if named:  # nothing may stand beside .and
        quoted = f'{quoted[:-1]} {" ".join(named)}"'
    return f"({quoted}).and({', '.join(weights) if set(weights) != {'1'} else ''})"


def _compel_branch(branch: Prompt) -> str:
    """Word by word; what compel itself read keeps its empty words."""
    written = []
    for piece in _unbroken(branch.segments()):
        words = piece.text.split(" ") if branch.separator else piece.text.split()
        if piece.weight == 1:
            written += [_compel_word(word) for word in words]
        elif words:
            inner = " ".join(_escape_compel(word) or '""' for word in words)
            written.append(f"({inner}){_number(max(0.0, piece.weight))}")
    text = " ".join(written)
    return "" if text == '""' else text


def _compel_word(word: str) -> str:
    """A word as compel reads it back outside brackets: escaped as far as that leaves it a word without weight."""
    if not word:
        return '""'
    if not _COMPEL_SYNTAX.search(word):
        return word
    first = f"\\{word}" if word[0] in '("' else word
    for spelling in (_escape_compel(word), first):
        scanner = Scanner(spelling, len(spelling))
        try:
            scanner.prompt(0)
        except PromptSyntaxError:
            continue
        read, loras = fragments_of(scanner)
        if not loras and [(f.text, f.weight) for f in read] == [(word, 1.0)]:
            return spelling
    return _escape_compel(word)


def _escape_compel(word: str) -> str:
    return re.sub(r'[()"]', r"\\\g<0>", word)


def _flat(prompt: Prompt) -> list[Segment]:
    """All branches one after the other; neighbours of one weight as one, but comfy's own."""
    flat: list[Segment] = []
    for branch, _ in prompt.branches:
        if flat:
            flat.append(Segment(", ", 1.0))
        flat += _unbroken(_pieces(branch))
    if prompt.dialect == "comfy":
        return flat
    groups = groupby(flat, key=lambda piece: piece.weight)
    return [Segment("".join(p.text for p in group), weight) for weight, group in groups]


def _pieces(branch: Prompt) -> list[Segment]:
    """The segments of the first step with what stands between them."""
    pieces: list[Segment] = []
    for segment in branch.segments():
        if pieces and branch.separator:
            pieces.append(Segment(branch.separator, 1.0))
        pieces.append(segment)
    return pieces


def _unbroken(pieces: Sequence[Segment]) -> list[Segment]:
    """Breaks as blanks."""
    return [Segment(" ", 1.0) if piece.is_break else piece for piece in pieces]


def _number(value: float) -> str:
    """All its digits, without an exponent: no dialect but comfy reads one."""
    text = format(Decimal(repr(float(value))), "f")
    return text.removesuffix(".0")


WRITERS: dict[str, Writer] = {
    "a1111": write_a1111,
    "comfy": write_comfy,
    "compel": write_compel,
    "plain": write_plain,
}
