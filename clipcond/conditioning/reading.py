"""A prompt's text to the windows an encoder reads: parse, tokenise, cut. It knows no tensors."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from clipcond.conditioning.report import PromptReport, ReportedToken
from clipcond.errors import (
    ClipcondError,
    PromptCutWarning,
    PromptSyntaxError,
    PromptTooLongError,
)
from clipcond.prompt import Diagnostic, Prompt, parse
from clipcond.tokens import (
    Chunk,
    Cut,
    Line,
    Token,
    Tokenizer,
    lines_of,
    policy_named,
    whole,
)
from clipcond.weighting import mode_named, normalize

_QUOTED = 200
_ONE_WINDOW = ("truncate", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How prompts are read.

    Attributes:
        dialect: of the prompt language.
        long_prompt: a policy for prompts over an encoder's length.
        weighting: a weighting mode.
        normalization: of the weights.
        clean: what the pipelines do to a text before they tokenise it.
    """

    dialect: str
    long_prompt: str
    weighting: str
    normalization: str
    clean: Callable[[str], str]


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
        lengths = [sum(len(chunk.ids) for chunk in chunks) for _, chunks in self.branches]
        return sum(lengths) if self.joined == "concat" else max(lengths)


def read(texts: Sequence[str], tokenizer: Tokenizer, rules: Rules) -> list[Reading]:
    """Read several prompts, their tokens in one call.

    Raises:
        PromptSyntaxError: one cannot be parsed, or has weights that the mode cannot take.
        PromptTooLongError: one is too long under the policy "error".
        ClipcondError: one changes over the steps, or is composed in noise space.

    Warns:
        PromptCutWarning: words were dropped under the policy "truncate".
    """
    prompts = [parse(text, dialect=rules.dialect).without_loras for text in texts]
    for prompt in prompts:
        _check(prompt, rules)
    lines = [
        [
            [_cleaned(line, rules.clean) for line in lines_of(part.segments(), part.separator)]
            for part, _ in prompt.branches
        ]
        for prompt in prompts
    ]
    tokens = iter(tokenizer([line for parts in lines for part in parts for line in part]))
    return [
        _read_one(prompt, parts, tokens, tokenizer=tokenizer, rules=rules)
        for prompt, parts in zip(prompts, lines, strict=True)
    ]


def _cleaned(line: Line, clean: Callable[[str], str]) -> Line:
    """The line as the pipelines clean it, each piece ending where what is before its end does, cleaned with one more letter.

    After parsing, as cleaning takes away what weights are written with. The letter keeps what would be stripped at an end.
    """
    text = clean(line.text)
    ends = [min(len(clean(line.text[:end] + "x")) - 1, len(text)) for end, _ in line.pieces]
    pieces = zip(accumulate(ends, max), (weight for _, weight in line.pieces), strict=True)
    return line._replace(text=text, pieces=tuple(pieces))


def _check(prompt: Prompt, rules: Rules) -> None:
    if prompt.joined == "compose" or prompt.is_scheduled:
        what = "joins prompts with AND" if prompt.joined == "compose" else "changes over the steps"
        raise ClipcondError(
            f"the prompt {prompt.text[:_QUOTED]!r} {what}, which no single conditioning can say; condition its "
            "parts (prompt.branches, prompt.schedule(steps)) one by one"
        )
    least = mode_named(rules.weighting).least
    for part, _ in prompt.branches:
        for fragment in part.fragments():
            if fragment.weight < least and fragment.text != "BREAK":
                raise PromptSyntaxError(
                    f"the weight {fragment.weight:.4g} is below {least:g}, the least that {rules.weighting} can take",
                    part.text,
                    fragment.span,
                    f"{least:g} masks the words; to steer away from them, use the negative prompt",
                )


def _read_one(
    prompt: Prompt,
    parts: Sequence[Sequence[Line]],
    tokens: Iterator[tuple[Token, ...]],
    *,
    tokenizer: Tokenizer,
    rules: Rules,
) -> Reading:
    branches: list[tuple[float, tuple[Chunk, ...]]] = []
    reported: list[ReportedToken] = []
    dropped: list[str] = []
    windows = 0
    for (_, weight), lines in zip(prompt.branches, parts, strict=True):
        tokenised = _normalized([next(tokens) for _ in lines], rules.normalization)
        cut = _policy(tokenizer, rules.long_prompt)(
            tokenised, tokenizer.frame.room, tokenizer.comma
        )
        dropped.append(_dropped_text(lines, tokenised, cut))
        reported += _reported(cut, first=windows)
        windows += len(cut.chunks)
        frame = tokenizer.frame_of(lines[0])
        branches.append((weight, tuple(frame.fill(chunk) for chunk in cut.chunks)))
    text = " ".join(filter(None, dropped))
    _complain(text, tokenizer, rules.long_prompt)
    notes = (*prompt.diagnostics, *_notes(prompt, reported, tokenizer, rules))
    report = PromptReport(
        text=prompt.text, tokens=tuple(reported), chunks=windows, cut=text, notes=notes
    )
    return Reading(prompt, tuple(branches), report)


def _policy(tokenizer: Tokenizer, long_prompt: str):
    """Encoders that read rows of any length need no windows, only a limit where one was asked for."""
    if tokenizer.windowed or long_prompt in _ONE_WINDOW:
        return policy_named(long_prompt)
    return whole


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
        stacklevel=6,
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
    return notes


def _reported(cut: Cut, first: int) -> list[ReportedToken]:
    return [
        ReportedToken(
            text=token.text,
            id=token.id,
            weight=token.weight,
            chunk=number,
            vectors=token.span,
        )
        for number, chunk in enumerate(cut.chunks, start=first)
        for token in chunk
        if token.span
    ]
