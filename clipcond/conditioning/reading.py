"""A prompt's text to the windows an encoder reads: parse, tokenise, cut. It knows no tensors."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from clipcond.conditioning.report import PromptReport, ReportedToken
from clipcond.errors import PromptCutWarning, PromptTooLongError
from clipcond.prompt import Diagnostic, Prompt, parse
from clipcond.tokens import Chunk, ClipTokenizer, Cut, Line, Token, lines_of, policy_named

_QUOTED = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """One prompt, read.

    Attributes:
        prompt: as parsed.
        chunks: its windows, at least one.
        report: what became of each of its words.
    """

    prompt: Prompt
    chunks: tuple[Chunk, ...]
    report: PromptReport


def read(
    texts: Sequence[str], tokenizer: ClipTokenizer, *, dialect: str, long_prompt: str
) -> list[Reading]:
    """Read several prompts, their tokens in one call.

    Raises:
        PromptSyntaxError: one cannot be parsed.
        PromptTooLongError: one is too long under the policy "error".

    Warns:
        PromptCutWarning: words were dropped under the policy "truncate".
    """
    prompts = [parse(text, dialect=dialect).without_loras for text in texts]
    lines = [lines_of(prompt.segments(), prompt.separator) for prompt in prompts]
    tokens = iter(tokenizer([line for group in lines for line in group]))
    readings = []
    for prompt, group in zip(prompts, lines, strict=True):
        tokenised = [next(tokens) for _ in group]
        cut = policy_named(long_prompt)(tokenised, tokenizer.frame.room, tokenizer.comma)
        dropped = _dropped_text(group, tokenised, cut)
        _complain(dropped, tokenizer.frame.room, long_prompt)
        notes = (*prompt.diagnostics, *_notes(prompt, cut, tokenizer, long_prompt))
        report = PromptReport(
            text=prompt.text,
            tokens=_reported(cut),
            chunks=len(cut.chunks),
            cut=dropped,
            notes=notes,
        )
        chunks = tuple(tokenizer.frame.fill(chunk) for chunk in cut.chunks)
        readings.append(Reading(prompt, chunks, report))
    return readings


def _dropped_text(lines: Sequence[Line], tokenised: Sequence[tuple[Token, ...]], cut: Cut) -> str:
    """What the encoder will not see, as typed: policies drop from the end only."""
    kept = sum(len(chunk) for chunk in cut.chunks)
    parts = []
    for line, tokens in zip(lines, tokenised, strict=True):
        if kept < len(tokens):
            parts.append(line.text[tokens[kept].start :])
        kept = max(0, kept - len(tokens))
    return " ".join(parts)


def _complain(dropped: str, room: int, long_prompt: str) -> None:
    if not dropped:
        return
    quoted = dropped if len(dropped) <= _QUOTED else f"{dropped[:_QUOTED]}..."
    if long_prompt == "error":
        raise PromptTooLongError(
            f"the prompt is longer than the {room} tokens that fit; this is too much: {quoted!r}. Shorten it, or "
            'take long_prompt="a1111" (several windows) or "truncate"'
        )
    warnings.warn(
        f"the prompt is longer than the {room} tokens that fit; dropped: {quoted!r}",
        PromptCutWarning,
        stacklevel=4,
    )


def _notes(
    prompt: Prompt, cut: Cut, tokenizer: ClipTokenizer, long_prompt: str
) -> list[Diagnostic]:
    notes = []
    if prompt.is_scheduled:
        notes.append(
            Diagnostic(
                "only what the first step says is encoded",
                (0, len(prompt.text)),
                "condition each row of prompt.schedule",
            )
        )
    pad = tokenizer.frame.pad  # where it is EOS as well, no content has it
    if any(token.id == pad for chunk in cut.chunks for token in chunk):
        at = max(0, prompt.text.find(tokenizer.pad_text))
        notes.append(
            Diagnostic(
                f"{tokenizer.pad_text!r} is this tokenizer's padding token and says nothing",
                (at, at + len(tokenizer.pad_text)),
                "leave it out",
            )
        )
    if long_prompt != "a1111" and any(s.is_break for s in prompt.segments()):
        at = max(0, prompt.text.find("BREAK"))
        notes.append(
            Diagnostic(
                f"BREAK ends no window under the policy {long_prompt!r}",
                (at, at + len("BREAK")),
                'take long_prompt="a1111"',
            )
        )
    return notes


def _reported(cut: Cut) -> tuple[ReportedToken, ...]:
    return tuple(
        ReportedToken(text=token.text, id=token.id, weight=token.weight, chunk=number)
        for number, chunk in enumerate(cut.chunks)
        for token in chunk
    )
