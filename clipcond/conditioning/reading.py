"""A prompt's text to the windows an encoder reads: parse, tokenise, cut. It knows no tensors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice

from clipcond.conditioning.remarks import complain, remarks, unmet_remarks
from clipcond.conditioning.report import PromptReport, ReportedToken, reported_tokens
from clipcond.conditioning.rules import ONE_WINDOW, Rules
from clipcond.errors import (
    ClipcondError,
    PromptSyntaxError,
)
from clipcond.families.inputs import Sides
from clipcond.prompt import DIALECTS, Prompt
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
    """Read the prompts of all sides, with the tokenizer of each; one that comes several times, once.

    Raises:
        PromptSyntaxError: one has weights that the mode cannot take.
        PromptTooLongError: one is too long under the policy "error".
        ClipcondError: a row is too short for what stands around every prompt.

    Warns:
        PromptCutWarning: words were dropped under the policy "truncate".
    """
    found = {
        side: _Tokenised.of(list(_by_object(asked).values()), tokenizer_of(side), rules.of(side))
        for side, asked in prompts.items()
    }
    longest = max(each.positions for each in found.values())
    readings = {
        side: {id(reading.prompt): reading for reading in each.read(longest)}
        for side, each in found.items()
    }
    return {
        side: [readings[side][id(prompt)] for prompt in asked] for side, asked in prompts.items()
    }


def _by_object(prompts: Sequence[Prompt]) -> dict[int, Prompt]:
    return {id(prompt): prompt for prompt in prompts}


@dataclass(frozen=True, slots=True)
class _Tokenised:
    """Prompts of a side, tokenised and not yet cut.

    Attributes:
        prompts: as parsed.
        lines: of each branch of each prompt.
        unmet: the embeddings that each asks for and the encoder has not.
        tokens: of all lines, one after the other.
        tokenizer: whose.
        rules: for reading them.
    """

    prompts: Sequence[Prompt]
    lines: Sequence[Sequence[Sequence[Line]]]
    unmet: Sequence[Sequence[str]]
    tokens: Sequence[tuple[Token, ...]]
    tokenizer: Tokenizer
    rules: Rules

    @classmethod
    def of(cls, prompts: Sequence[Prompt], tokenizer: Tokenizer, rules: Rules) -> "_Tokenised":
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
            lines = [
                [[_met(line, tokenizer) for line in part] for part in parts] for parts in lines
            ]
        tokens = tokenizer([line for parts in lines for part in parts for line in part])
        return cls(prompts, lines, unmet, tokens, tokenizer, rules)

    @property
    def positions(self) -> int:
        """Of the longest branch, whose lines follow each other in one row, and what stands around it."""
        found, frame = iter(self.tokens), self.tokenizer.frame
        branches = [part for parts in self.lines for part in parts]
        tokens = (sum(map(len, islice(found, len(lines)))) for lines in branches)
        whole = max(tokens, default=0) + frame.length - frame.room
        cut = self.rules.long_prompt in ONE_WINDOW  # to the length that was asked for
        return min(whole, frame.length) if cut else whole

    def read(self, longest: int) -> list[Reading]:
        """Cut, where rows are filled up to the longest of a side, or of all sides."""
        tokenizer, tokens = self.tokenizer, iter(self.tokens)
        if isinstance(tokenizer, TemplateTokenizer):
            tokenizer = tokenizer.fitted(self.positions, longest)
        return [
            _read_one(prompt, parts, tokens, tokenizer=tokenizer, rules=self.rules, unmet=names)
            for prompt, parts, names in zip(self.prompts, self.lines, self.unmet, strict=True)
        ]


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
    complain(text, tokenizer, rules.long_prompt)
    notes = (
        *prompt.diagnostics,
        *remarks(prompt, reported, tokenizer, rules),
        *unmet_remarks(prompt, unmet, rules),
    )
    report = PromptReport(
        text=prompt.text, tokens=tuple(reported), chunks=windows, cut=text, notes=notes,
        positions=_length(branches, prompt.joined),
    )  # fmt: skip
    return Reading(prompt, tuple(branches), report)


def _policy(tokenizer: Tokenizer, rules: Rules) -> Policy:
    """Encoders that read rows of any length need no windows, only a limit where one was asked for."""
    return rules.policy if tokenizer.windowed or rules.long_prompt in ONE_WINDOW else whole


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


def _positions(chunks: Sequence[Chunk]) -> int:
    return sum(len(chunk.ids) for chunk in chunks)


def _length(branches: Sequence[tuple[float, Sequence[Chunk]]], joined: str) -> int:
    lengths = [_positions(chunks) for _, chunks in branches]
    return sum(lengths) if joined == "concat" else max(lengths)
