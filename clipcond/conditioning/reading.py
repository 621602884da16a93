"""A prompt's text to the windows an encoder reads: parse, tokenise, cut. It knows no tensors."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice

from clipcond.conditioning.report import PromptReport, ReportedToken, reported_tokens
from clipcond.errors import (
    ClipcondError,
    PromptCutWarning,
    PromptSyntaxError,
    PromptTooLongError,
)
from clipcond.families.inputs import NEGATIVE, Sides
from clipcond.prompt import DIALECTS, Diagnostic, Prompt
from clipcond.tokens import (
    Chunk,
    Cut,
    Line,
    Policy,
    TemplateTokenizer,
    Token,
    Tokenizer,
    lines_of,
    whole,
)
from clipcond.weighting import normalize

_QUOTED = 200
_LISTED = 5
_ONE_WINDOW = ("truncate", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How one encoder's prompts are read.

    Attributes:
        dialect: of the prompt language.
        long_prompt: the name of the policy for prompts over the encoder's length.
        policy: itself.
        weighting: the name of the weighting mode.
        least: the smallest weight that the mode can take.
        normalization: of the weights.
        clean: what the pipelines do to a text before they tokenise it.
        negative_clean: the same for a negative one.
    """

    dialect: str
    long_prompt: str
    policy: Policy
    weighting: str
    least: float
    normalization: str
    clean: Callable[[str], str]
    negative_clean: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Reading:
    """One prompt, read.

    Attributes:
        prompt: as parsed.
        branches: (weight, windows) of each part of a joined prompt; one of weight 1 otherwise.
        report: what became of each of its words.
    """

    prompt: Prompt
    branches: tuple[tuple[float, tuple[Chunk, ...]], ...]
    report: PromptReport

    @property
    def joined(self) -> str:
        """How the branches are joined: "blend", "concat" or ""."""
        return self.prompt.joined

    @property
    def length(self) -> int:
        """Positions of its windows: of all branches after one another, or of the longest."""
        return _length(self.branches, self.joined)

    def only(self, windows: slice) -> "Reading":
        """The same with some of each branch's windows."""
        return replace(self, branches=tuple((w, chunks[windows]) for w, chunks in self.branches))


def read(
    prompts: Sides[Sequence[Prompt]], tokenizer_of: Callable[[str], Tokenizer], rules: Rules
) -> Sides[list[Reading]]:
    """Read the prompts of all sides, with the tokenizer of each.

    Raises:
        PromptSyntaxError: one has weights that the mode cannot take.
        PromptTooLongError: one is too long under the policy "error".
        ClipcondError: a row is too short for what stands around every prompt.

    Warns:
        PromptCutWarning: words were dropped under the policy "truncate".
    """
    negative = replace(rules, clean=rules.negative_clean)
    return {
        side: _read(asked, tokenizer_of(side), negative if side == NEGATIVE else rules)
        for side, asked in prompts.items()
    }


def _read(prompts: Sequence[Prompt], tokenizer: Tokenizer, rules: Rules) -> list[Reading]:
    _check_room(tokenizer)
    for prompt in prompts:
        _check(prompt, rules)
    lines = [
        [
            [_cleaned(line, rules.clean) for line in lines_of(part.segments(), part.separator)]
            for part, _ in prompt.branches
        ]
        for prompt in prompts
    ]
    unmet = [_unmet(parts, tokenizer, rules) for parts in lines]
    if DIALECTS[rules.dialect].drops_unmet:
        lines = [[[_met(line, tokenizer) for line in part] for part in parts] for parts in lines]
    found = tokenizer([line for parts in lines for part in parts for line in part])
    if isinstance(tokenizer, TemplateTokenizer):
        branches = [part for parts in lines for part in parts]
        tokenizer = tokenizer.fitted(_longest(branches, found))
    tokens = iter(found)
    return [
        _read_one(prompt, parts, tokens, tokenizer=tokenizer, rules=rules, unmet=names)
        for prompt, parts, names in zip(prompts, lines, unmet, strict=True)
    ]


def _longest(branches: Sequence[Sequence[Line]], tokens: Sequence[Sequence[Token]]) -> int:
    """Tokens of the longest branch, whose lines follow each other in one row."""
    found = iter(tokens)
    return max((sum(map(len, islice(found, len(lines)))) for lines in branches), default=0)


def _check_room(tokenizer: Tokenizer) -> None:
    """Only a row whose length a call chooses can be too short for what stands around every prompt."""
    around = tokenizer.length - tokenizer.frame.room
    if tokenizer.length < around:
        raise ClipcondError(
            f"max_sequence_length: {tokenizer.length} positions do not hold the {around} tokens that stand around every "
            f"prompt of {type(tokenizer.tokenizer).__name__}; take more than {around}"
        )


def _unmet(parts: Sequence[Sequence[Line]], tokenizer: Tokenizer, rules: Rules) -> list[str]:
    """Each `embedding:name` of a prompt that the encoder has not; "plain" asks for none."""
    if not DIALECTS[rules.dialect].embeddings:
        return []
    return [
        line.text[start:end]
        for part in parts
        for line in part
        for start, end in tokenizer.unmet(line)
    ]


def _met(line: Line, tokenizer: Tokenizer) -> Line:
    """The line without the names of embeddings that there are not, which ComfyUI leaves out."""
    spans = tokenizer.unmet(line)
    if not spans:
        return line
    edges = [0, *(edge for span in spans for edge in span), len(line.text)]
    text = "".join(line.text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    pieces = tuple(
        (end - sum(max(0, min(b, end) - a) for a, b in spans), weight)
        for end, weight in line.pieces
    )
    return line._replace(text=text, pieces=pieces)


def _cleaned(line: Line, clean: Callable[[str], str]) -> Line:
    """The line as the pipelines clean it, each piece ending where what is before its end does, cleaned with one more letter.

    After parsing, as cleaning takes away what weights are written with. The letter keeps what would be stripped at an end.
    """
    text = clean(line.text)
    ends = [min(len(clean(line.text[:end] + "x")) - 1, len(text)) for end, _ in line.pieces]
    pieces = zip(accumulate(ends, max), (weight for _, weight in line.pieces), strict=True)
    return line._replace(text=text, pieces=tuple(pieces))


def _check(prompt: Prompt, rules: Rules) -> None:
    for part, _ in prompt.branches:
        for fragment in part.fragments():
            if fragment.weight < rules.least and fragment.text != "BREAK":
                raise PromptSyntaxError(
                    f"the weight {fragment.weight:.4g} is below {rules.least:g}, the least that {rules.weighting} can take",
                    part.text,
                    fragment.span,
                    f"{rules.least:g} masks the words; to steer away from them, use the negative prompt",
                )


def _read_one(
    prompt: Prompt,
    parts: Sequence[Sequence[Line]],
    tokens: Iterator[tuple[Token, ...]],
    *,
    tokenizer: Tokenizer,
    rules: Rules,
    unmet: Sequence[str],
) -> Reading:
    branches: list[tuple[float, tuple[Chunk, ...]]] = []
    reported: list[ReportedToken] = []
    dropped: list[str] = []
    windows = 0
    for (_, weight), lines in zip(prompt.branches, parts, strict=True):
        tokenised = _normalized([next(tokens) for _ in lines], rules.normalization)
        cut = _policy(tokenizer, rules)(tokenised, tokenizer.frame.room, tokenizer.comma)
        dropped.append(_dropped_text(lines, tokenised, cut))
        frame = tokenizer.frame_of(lines[0])
        filled = tuple(frame.fill(chunk) for chunk in cut.chunks)
        start = (
            sum(_positions(before) for _, before in branches) if prompt.joined == "concat" else 0
        )
        reported += reported_tokens(
            cut, filled, first=windows, start=start, unknown=tokenizer.unknown
        )
        windows += len(cut.chunks)
        branches.append((weight, filled))
    text = " ".join(filter(None, dropped))
    _complain(text, tokenizer, rules.long_prompt)
    notes = (
        *prompt.diagnostics,
        *_notes(prompt, reported, tokenizer, rules),
        *_unmet_notes(prompt, unmet, rules),
    )
    report = PromptReport(
        text=prompt.text, tokens=tuple(reported), chunks=windows, cut=text, notes=notes,
        positions=_length(branches, prompt.joined),
    )  # fmt: skip
    return Reading(prompt, tuple(branches), report)


def _policy(tokenizer: Tokenizer, rules: Rules) -> Policy:
    """Encoders that read rows of any length need no windows, only a limit where one was asked for."""
    return rules.policy if tokenizer.windowed or rules.long_prompt in _ONE_WINDOW else whole


def _normalized(lines: Sequence[tuple[Token, ...]], normalization: str) -> list[tuple[Token, ...]]:
    """The weights of a whole prompt, normalised together."""
    if normalization == "none":
        return list(lines)
    tokens = [token for line in lines for token in line]
    weights = iter(
        normalize([t.weight for t in tokens], [t.fragment for t in tokens], normalization)
    )
    return [tuple(token._replace(weight=next(weights)) for token in line) for line in lines]


def _dropped_text(lines: Sequence[Line], tokenised: Sequence[tuple[Token, ...]], cut: Cut) -> str:
    """What the encoder will not see, as typed: policies drop from the end only."""
    kept = sum(len(chunk) for chunk in cut.chunks)
    parts = []
    for line, tokens in zip(lines, tokenised, strict=True):
        if kept < len(tokens):
            parts.append(line.text[tokens[kept].start :])
        kept = max(0, kept - len(tokens))
    return " ".join(parts)


def _complain(dropped: str, tokenizer: Tokenizer, long_prompt: str) -> None:
    if not dropped:
        return
    room = tokenizer.frame.room
    quoted = dropped if len(dropped) <= _QUOTED else f"{dropped[:_QUOTED]}..."
    if long_prompt == "error":
        windows = '"a1111" (several windows) or ' if tokenizer.windowed else ""
        raise PromptTooLongError(
            f"the prompt is longer than the {room} tokens that fit; this is too much: {quoted!r}. Shorten it, or "
            f'take long_prompt={windows}"truncate"'
        )
    warnings.warn(
        f"the prompt is longer than the {room} tokens that fit; dropped: {quoted!r}",
        PromptCutWarning,
        stacklevel=7,
    )


def _notes(
    prompt: Prompt, tokens: Sequence[ReportedToken], tokenizer: Tokenizer, rules: Rules
) -> list[Diagnostic]:
    notes = []
    pad = tokenizer.frame.pad  # where it is EOS as well, no content has it
    if any(token.id == pad for token in tokens):
        at = max(0, prompt.text.find(tokenizer.pad_text))
        notes.append(
            Diagnostic(
                f"{tokenizer.pad_text!r} is this tokenizer's padding token and says nothing",
                (at, at + len(tokenizer.pad_text)),
                "leave it out",
            )
        )
    parts = [part for part, _ in prompt.branches]
    breaks = any(s.is_break for part in parts for s in part.segments())
    if breaks and (rules.long_prompt in _ONE_WINDOW or not tokenizer.windowed):
        at = max(0, prompt.text.find("BREAK"))
        why = (
            f"under the policy {rules.long_prompt!r}"
            if tokenizer.windowed
            else "for an encoder that reads one row"
        )
        notes.append(
            Diagnostic(
                f"BREAK ends no window {why}",
                (at, at + len("BREAK")),
                'take long_prompt="a1111"' if tokenizer.windowed else "",
            )
        )
    unknown = list(dict.fromkeys(token.text for token in tokens if token.unknown))
    if unknown:
        more = ", ..." if len(unknown) > _LISTED else ""
        at = max(0, prompt.text.find(unknown[0]))
        notes.append(
            Diagnostic(
                f"not in this tokenizer's vocabulary, so that the encoder reads only that something is there: "
                f"{', '.join(map(repr, unknown[:_LISTED]))}{more}",
                (at, at + len(unknown[0])),
                "say it in words that it knows",
            )
        )
    return notes


def _unmet_notes(prompt: Prompt, unmet: Sequence[str], rules: Rules) -> list[Diagnostic]:
    done = "left out, as in ComfyUI" if DIALECTS[rules.dialect].drops_unmet else "read as text"
    notes = []
    for asked in dict.fromkeys(unmet):
        at = max(0, prompt.text.find(asked))
        notes.append(
            Diagnostic(
                f"{asked!r} names no textual inversion that this encoder has: {done}",
                (at, at + len(asked)),
                "give the file to with_inversions, or leave the word out",
            )
        )
    return notes


def _positions(chunks: Sequence[Chunk]) -> int:
    return sum(len(chunk.ids) for chunk in chunks)


def _length(branches: Sequence[tuple[float, Sequence[Chunk]]], joined: str) -> int:
    lengths = [_positions(chunks) for _, chunks in branches]
    return sum(lengths) if joined == "concat" else max(lengths)
