"""What became of each word of a prompt (its tokens, weights and window, what was cut, what looks like a mistake), and what
a call cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from clipcond.errors import point_at, printable
from clipcond.prompt import Diagnostic
from clipcond.tokens import Chunk, Cut, Token

_WINDOW = 75  # content tokens of CLIP's window
_BLANK = "\u2581"  # as sentencepiece writes one


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedToken:
    """A token the encoder saw.

    Attributes:
        text: the characters it covers, as typed; "" for a blank that the tokenizer put there.
        id: in the tokenizer's vocabulary.
        weight: what the weighting mode was told.
        chunk: the window it is in, from 0.
        vectors: how many positions it takes: more than 1 for a textual inversion of several vectors.
        unknown: whether the tokenizer does not know these characters, so that the encoder did not see them.
        position: the first of its positions in the encoder's row; None in files that do not say it.
        goes_on: whether it goes on with the word of the token before it.
    """

    text: str
    id: int
    weight: float
    chunk: int
    vectors: int = 1
    unknown: bool = False
    position: int | None = None
    goes_on: bool = False

    @property
    def shown(self) -> str:
        """Its characters as one visible word: blanks and what cannot be seen are spelt out."""
        text = printable(self.text.strip()) or _BLANK
        return f"{text}[?]" if self.unknown else text


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptReport:
    """One prompt as one encoder saw it.

    Attributes:
        text: as typed.
        tokens: its content, in order.
        chunks: how many windows it took.
        cut: what was dropped, as typed; "" if nothing.
        notes: what looks like a mistake.
        positions: of its row, those around its content included.
    """

    text: str
    tokens: tuple[ReportedToken, ...]
    chunks: int
    cut: str
    notes: tuple[Diagnostic, ...]
    positions: int = 0

    @property
    def length(self) -> int:
        """Positions that its content takes."""
        return sum(token.vectors for token in self.tokens)

    def __str__(self) -> str:
        lines = []
        for number in range(self.chunks):
            words = (_shown(t) for t in self.tokens if t.chunk == number)
            lines.append(f"{number + 1}/{self.chunks}: {' '.join(words) or '(empty)'}")
        if self.cut:
            lines.append(f"cut: {self.cut!r}")
        lines += [f"note: {n.message}\n{point_at(self.text, n.span)}" for n in self.notes]
        return "\n".join(lines)

    def to_html(self) -> str:
        """Windows of tokens on a colour by weight, what is cut, what looks like a mistake; no scripts, and no style."""
        parts = [self._window(chunk) for chunk in range(self.chunks)]
        if self.cut:
            parts.append(f'<p class="cut"><b>cut</b> <s>{escape(printable(self.cut))}</s></p>')
        for note in self.notes:
            hint = f'<p class="hint">{escape(note.hint)}</p>' if note.hint else ""
            place = escape(point_at(self.text, note.span))
            parts.append(
                f'<div class="note"><p>{escape(note.message)}</p><pre>{place}</pre>{hint}</div>'
            )
        return "".join(parts)

    def _window(self, chunk: int) -> str:
        """Of tokens of one weight in a row, the last says it."""
        found = [token for token in self.tokens if token.chunk == chunk]
        spans = "".join(
            _span(token, told=i + 1 == len(found) or found[i + 1].weight != token.weight)
            for i, token in enumerate(found)
        )
        count = sum(token.vectors for token in found)
        of = f"window {chunk + 1} of {self.chunks} · " if self.chunks > 1 else ""
        return (
            f'<div class="window"><div class="row" dir="auto">{spans or "<i>empty</i>"}</div>'
            f'<div class="meter"><i style="width:{min(100, 100 * count / _WINDOW):.0f}%"></i></div>'
            f"<small>{of}{count} {'token' if count == 1 else 'tokens'}</small></div>"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderReport:
    """Every prompt of a call as one encoder saw it.

    Attributes:
        prompts: the positive ones, in order.
        negative_prompts: the negative ones; as many, or none where the pipeline reads none.
    """

    prompts: tuple[PromptReport, ...]
    negative_prompts: tuple[PromptReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every prompt of a call, as each encoder saw it; a notebook shows it as coloured tokens.

    Attributes:
        encoders: encoder slot -> what it saw.
    """

    encoders: Mapping[str, EncoderReport]

    @property
    def prompts(self) -> tuple[PromptReport, ...]:
        """The positive prompts, as the first encoder saw them."""
        return next(iter(self.encoders.values())).prompts

    @property
    def negative_prompts(self) -> tuple[PromptReport, ...]:
        """The negative prompts, as the first encoder saw them."""
        return next(iter(self.encoders.values())).negative_prompts

    def __str__(self) -> str:
        return "\n".join(
            f"{_title(self, slot, side, number)}:\n{report}"
            for slot, side, number, report in self.rows()
        )

    def rows(self) -> list[tuple[str, str, int, PromptReport]]:
        """(encoder slot, "prompt" or "negative", number, report) of every prompt."""
        return [
            (slot, side, number, report)
            for slot, seen in self.encoders.items()
            for side, reports in (("prompt", seen.prompts), ("negative", seen.negative_prompts))
            for number, report in enumerate(reports)
        ]

    def to_json(self) -> dict[str, Any]:
        """Lists and dicts of numbers and strings, as `asdict` has them; `from_json` reads them back."""
        return {slot: asdict(seen) for slot, seen in self.encoders.items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Report":
        """What `to_json` wrote."""
        return cls(
            encoders={
                slot: EncoderReport(
                    **{side: tuple(map(_prompt, rows)) for side, rows in seen.items()}
                )
                for slot, seen in value.items()
            }
        )

    def to_html(self) -> str:
        """Tokens on a colour by weight (red up, blue down), windows apart, cut text struck out; no scripts."""
        parts = [
            f"<p><b>{escape(_title(self, slot, side, number))}</b></p>{report.to_html()}"
            for slot, side, number, report in self.rows()
        ]
        return f'<div class="clipcond-report">{_STYLE}{"".join(parts)}</div>'

    def _repr_html_(self) -> str:
        return self.to_html()


@dataclass(frozen=True, slots=True)
class EncoderStats:
    """What one encoder did.

    Attributes:
        calls: forwards.
        rows: rows of ids in them.
        rows_cached: rows that it need not run, since the cache had them.
    """

    calls: int
    rows: int
    rows_cached: int = 0


@dataclass(frozen=True, slots=True)
class Stats:
    """What a call cost, per encoder slot (`stats["text_encoder"]`) and in all."""

    encoders: dict[str, EncoderStats]

    def __getitem__(self, slot: str) -> EncoderStats:
        return self.encoders[slot]

    @property
    def calls(self) -> int:
        """Forwards of all encoders."""
        return sum(encoder.calls for encoder in self.encoders.values())

    @property
    def rows(self) -> int:
        """Rows of ids that all encoders read."""
        return sum(encoder.rows for encoder in self.encoders.values())

    @property
    def rows_cached(self) -> int:
        """Rows that came from the cache."""
        return sum(encoder.rows_cached for encoder in self.encoders.values())


def reported_tokens(
    cut: Cut, filled: Sequence[Chunk], *, first: int, start: int, unknown: int | None
) -> list[ReportedToken]:
    """What is reported of the tokens of a branch.

    Args:
        cut: them.
        filled: the windows that hold them.
        first: the number of the first window.
        start: the position of the row at which it begins.
        unknown: the id of what the tokenizer does not know.
    """
    reported = []
    for number, (tokens, window) in enumerate(zip(cut.chunks, filled, strict=True)):
        inside = next((i for i, fragment in enumerate(window.fragments) if fragment), 0)
        for at, token in enumerate(tokens):
            if token.span:
                before = tokens[at - 1] if at else None
                reported.append(
                    ReportedToken(
                        text=token.text,
                        id=token.id,
                        weight=token.weight,
                        chunk=first + number,
                        vectors=token.span,
                        unknown=token.id == unknown,
                        position=start + inside + at,
                        goes_on=before is not None and _goes_on(before, token),
                    )
                )
        start += len(window.ids)
    return reported


def _goes_on(before: Token, token: Token) -> bool:
    """Whether there is no blank between two tokens, nor a border of what was tokenised apart."""
    end = before.start + len(before.text)
    return token.group == before.group and 0 < token.start <= end and not token.text[:1].isspace()


_STYLE = (
    "<style>.clipcond-report p{margin:.3em 0}.clipcond-report .window{padding-left:.6em;border-left:3px solid #8888}"
    ".clipcond-report .row span{display:inline-block;line-height:1.4;padding:.1em .25em;margin:1px;border-radius:.25em;"
    "border:1px solid #8884}.clipcond-report .up{background:hsla(0,85%,55%,var(--s))}"
    ".clipcond-report .down{background:hsla(220,85%,55%,var(--s))}.clipcond-report small{opacity:.6}</style>"
)


def _span(token: ReportedToken, *, told: bool) -> str:
    kind = "up" if token.weight > 1 else "down" if token.weight < 1 else ""
    weight = f"<sub>{token.weight:.3g}</sub>" if kind and told else ""
    strength = 0.12 + 0.75 * min(1.0, abs(token.weight - 1))
    style = f' style="--s:{strength:.2f}"' if kind else ""
    return (
        f'<span class="{kind}"{style} title="id {token.id}, weight {token.weight:.4g}">'
        f"{escape(token.shown)}{weight}</span>"
    )


def _title(report: Report, slot: str, side: str, number: int) -> str:
    name = f"{side} {number}"
    return name if len(report.encoders) == 1 else f"{slot}, {name}"


def _prompt(value: Mapping[str, Any]) -> PromptReport:
    tokens = tuple(ReportedToken(**token) for token in value["tokens"])
    notes = tuple(Diagnostic(n["message"], tuple(n["span"]), n["hint"]) for n in value["notes"])
    return PromptReport(**{**value, "tokens": tokens, "notes": notes})


def _shown(token: ReportedToken) -> str:
    return token.shown if token.weight == 1 else f"{token.shown}({token.weight:.3g})"
