"""The text of compel's prompts: words with weights.

    word+ word-- (a b)++ "a b"-   weight * 1.1 or * 0.9 per sign       \\( \\) \\"   the character itself
    (a b)1.3 "a b"0.7             weight * 1.3                         withLora(name, 0.8)
    (a b).attend(1.3)             the same

What is unusual: text is words joined by single spaces, and inside brackets and quotes a comma or a full stop is a word;
bare brackets and quotes vanish; a bracket whose inside is not well formed (a lone `-`, a `=`) is text with its weight.
compel writes a blank after each comma, but of two in a row it passes over the second, which then begins a word of pure
text; and it takes one backslash of an escape each time it handles the words, which is more often the more words follow.

compel reads the inside of each bracket four times at every depth. Here it is read once: what follows decides. One
stack holds the open brackets; what breaks one breaks all, and they are then known to be text.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from clipcond.errors import PromptSyntaxError
from clipcond.prompt.hints import MAX_DEPTH, note_heavy, refuse_depth, refuse_overflow
from clipcond.prompt.tree import Diagnostic, Fragment, Lora, Span

PLUS, MINUS = 1.1, 0.9
_BLANK = re.compile(r"[ \t\n\r\f\v]*+")
# a word without syntax: a sign only before an ordinary character; an escaped comma ends it
_PLAIN = r'(?:\\[()".+\-=]|[+-](?![ \t\n\r\f\v()",.+\-=]|\Z)|[^ \t\n\r\f\v()",.+\-=\\]|\\(?!,))'
_WORD = re.compile(rf"{_PLAIN}*+\\,|{_PLAIN}++")
_FREE = re.compile(r"(?<=,),[^ \t\n\r\f\v,]*+,?|[^ \t\n\r\f\v,]*+,|[^ \t\n\r\f\v,]++")
# words without syntax between single blanks: most of a prompt, in one step
_RUN = re.compile(
    r'[^ \t\n\r\f\v()",.+\-=\\]++,?(?=[ \t\n\r\f\v]|\Z)(?: [^ \t\n\r\f\v()",.+\-=\\]++,?(?=[ \t\n\r\f\v]|\Z))*+'
)
QUOTE = re.compile(r'"(?:\\"|[^"\n\r])*"')
_NUMBER = r"[0-9]++\.[0-9]*+|\.[0-9]++|[0-9]++"
_SIGNS = re.compile(r"\+++|-++")
_WEIGHT = re.compile(rf"\+++|-++|{_NUMBER}")
_ATTEND = re.compile(
    rf"[ \t\n\r\f\v]*+\.attend[ \t\n\r\f\v]*+\([ \t\n\r\f\v]*+(\+++|-++|{_NUMBER})[ \t\n\r\f\v]*+\)"
)
_SWAP = re.compile(r"[ \t\n\r\f\v]*+\.swap[ \t\n\r\f\v]*+\(")
_ESCAPED = re.compile(r'(?<!\\)(\\++)(?=[()"])')
_LORA = re.compile(
    r"(?:use|with)Lora[ \t\n\r\f\v]*+\([ \t\n\r\f\v]*+([A-Za-z0-9_-]++)[ \t\n\r\f\v]*+"
    r"(?:,[ \t\n\r\f\v]*+([+-]?(?:[0-9]++\.[0-9]*+|\.[0-9]++)|-?[0-9]++)[ \t\n\r\f\v]*+)?\)"
)


@dataclass(slots=True, eq=False)
class Group:
    """Brackets, quotes or a word: where it starts, what was read before it, where it must end, and its weight."""

    start: int
    first: int = 0
    limit: int = 0
    is_quote: bool = False
    weight: float = 1.0
    number: Span = (0, 0)


# a span of text; a group that opens (True) or closes (False); a LoRA
Event = Span | tuple[Group, bool] | Lora


@dataclass(slots=True)
class Scanner:
    """Reads a range of a prompt.

    Attributes:
        source: the prompt.
        limit: where the range ends.
        events: what was read, in order.
        failed: where a bracket or quote is none.
        notes: what looks like a mistake.
        has_calls: whether to look for `.attend` and `.swap`.
        has_loras: whether to look for LoRAs.
    """

    source: str
    limit: int
    events: list[Event] = field(default_factory=list)
    failed: set[int] = field(default_factory=set)
    notes: list[Diagnostic] = field(default_factory=list)
    has_calls: bool = field(init=False)
    has_loras: bool = field(init=False)

    def __post_init__(self) -> None:
        self.has_calls = ".attend" in self.source or ".swap" in self.source
        self.has_loras = "Lora" in self.source

    def skip(self, at: int) -> int:
        """Past the blanks."""
        return _BLANK.match(self.source, at, self.limit).end()  # type: ignore[union-attr] # it can be empty

    def prompt(self, at: int) -> None:
        """Read all of a prompt: where nothing else fits, a word is all that stands between blanks."""
        at = self.skip(at)
        is_quiet = not (self.has_calls or self.has_loras)
        while at < self.limit:
            if is_quiet and (run := _RUN.match(self.source, at, self.limit)):
                self.events.append(run.span())
                at = self.skip(run.end())
                continue
            char = self.source[at]
            after = self.lora(at, self.limit)
            if after is None and char in '("' and at not in self.failed:
                after = self.group(at)
            elif after is None:
                after = self._weighted_word(at)
            if after is None:
                after = _FREE.match(self.source, at, self.limit).end()  # type: ignore[union-attr] # no blank here
                self.events.append((at, after))
                if char in '("':
                    self.notes.append(_stray(self.source, at))
            at = self.skip(after)

    def lora(self, at: int, limit: int) -> int | None:
        """Read withLora(name, weight); None: there is none."""
        if not self.has_loras:
            return None
        found = _LORA.match(self.source, at, limit)
        if found is None:
            return None
        weight = float(found[2]) if found[2] else 1.0
        self.events.append(Lora(found[1], weight, weight, found.span()))
        return found.end()

    def loras(self, at: int) -> int:
        """Read LoRAs alone; returns where something else stands."""
        at = self.skip(at)
        while at < self.limit and (after := self.lora(at, self.limit)) is not None:
            at = self.skip(after)
        return at

    def _weighted_word(self, at: int) -> int | None:
        word = _WORD.match(self.source, at, self.limit)
        return word and self._word(at, word.end(), self.limit, or_none=True)

    def _word(self, at: int, end: int, limit: int, *, or_none: bool = False) -> int | None:
        """Read the word [at, end) and its weight; None: it has none, and that was asked for."""
        group = Group(at)
        after = self._operate(group, end, limit)
        if after == end:
            if or_none:
                return None
            self.events.append((at, end))
        else:
            self.events += [(group, True), (at, end), (group, False)]
        return after

    def word(self, at: int) -> int | None:
        """Read a word without a weight; None: there is none."""
        word = _WORD.match(self.source, at, self.limit)
        if word is None:
            return None
        self.events.append(word.span())
        return word.end()

    def group(self, at: int, *, is_target: bool = False) -> int | None:
        """Read brackets or quotes with all inside, and their weight unless they are an operator's target.

        Returns:
            where it ends; None if it is not well formed: then so is no bracket that is still open in it.
        """
        frames: list[Group] = []
        mark = len(self.events)
        after: int | None = at
        while after is not None:
            after = self._inside(frames, after)
            if after is not None and (closed := self._closes(frames, after)):
                group = frames.pop()
                limit = frames[-1].limit if frames else self.limit
                after = after + 1
                if not is_target or frames:
                    after = self._operate(group, after, limit)
                if closed == '"' and not self.source[group.start + 1 : group.limit].strip():
                    self.events.append((group.limit, group.limit))
                self.events.append((group, False))
                if not frames:
                    return after
        for frame in frames:
            self.failed.add(frame.start)
            if frame.is_quote:  # what is inside might close beyond it
                break
        self.failed.add(at)
        del self.events[mark:]
        return None

    def _closes(self, frames: list[Group], at: int) -> str:
        """The bracket or quote that closes the innermost group here, or ""."""
        top = frames[-1]
        if top.is_quote:
            return '"' if at == top.limit else ""
        return ")" if at < top.limit and self.source[at] == ")" else ""

    def _inside(self, frames: list[Group], at: int) -> int | None:
        """Read up to the next thing that closes the innermost group; None: something has no place in it."""
        while True:
            limit = frames[-1].limit if frames else self.limit
            at = min(self.skip(at), limit)
            if frames and self._closes(frames, at):
                return at
            if at >= limit:
                return None
            after = self._item(frames, at, limit)
            if after is None:
                return None
            at = after

    def _item(self, frames: list[Group], at: int, limit: int) -> int | None:
        char = self.source[at]
        if char in '("':
            return self._open(frames, at, limit)
        if (after := self.lora(at, limit)) is not None:
            return after
        if char in ",.":
            self.events.append((at, at + 1))
            return at + 1
        word = _WORD.match(self.source, at, limit)
        return word and self._word(at, word.end(), limit)

    def _open(self, frames: list[Group], at: int, limit: int) -> int | None:
        group = Group(at, len(self.events), limit)
        if self.source[at] == '"':
            quote = QUOTE.match(self.source, at, limit)
            if quote is None:
                return None
            group.is_quote, group.limit = True, quote.end() - 1
        if len(frames) >= MAX_DEPTH:
            raise refuse_depth(self.source, at)
        frames.append(group)
        self.events.append((group, True))
        return at + 1

    def _operate(self, group: Group, at: int, limit: int) -> int:
        """Read a weight after a group or word; returns `at` where there is none."""
        pattern = _WEIGHT if self.source[group.start] in '("' else _SIGNS
        found, span = None, None
        if self.has_calls:
            if _SWAP.match(self.source, at, limit):
                raise _refuse_swap(self.source, at)
            found = _ATTEND.match(self.source, at, limit)
            span = found.span(1) if found else None
        if found is None and self.source[at - 1] != ",":  # compel puts a blank after every comma
            found = pattern.match(self.source, at, limit)
            span = found.span() if found else None
        if found is None or span is None:
            return at
        text = self.source[slice(*span)]
        base = {"+": PLUS, "-": MINUS}.get(text[0])
        group.number = span
        group.weight = base ** len(text) if base else float(text)
        return found.end()


def fragments_of(scanner: Scanner) -> tuple[tuple[Fragment, ...], tuple[Lora, ...]]:
    """Weigh what was read, outer weights first, and join neighbours of one weight; nothing is one empty fragment.

    Raises:
        PromptSyntaxError: nested weights multiply to more than a number holds.
    """
    loras = tuple(event for event in scanner.events if isinstance(event, Lora))
    fragments: list[Fragment] = []
    words: list[str] = []
    weight, begin, end = 1.0, 0, 0
    for span, own in _weighted(scanner):
        if words and own != weight:
            fragments.append(Fragment(_joined(words), weight, (begin, end)))
            words = []
        if not words:
            weight, begin = own, span[0]
        words.append(scanner.source[slice(*span)])
        end = span[1]
    fragments.append(Fragment(_joined(words), weight, (begin, end)))
    return tuple(fragments), loras


def _joined(words: Sequence[str]) -> str:
    """Words with blanks between. An escape loses two backslashes, and one more each time a word is joined to its own."""
    text = " ".join(words)
    if "\\" not in text:
        return text
    after = text.count(" ")
    resolved: list[str] = []
    for word in words:  # a run of several has no escapes
        resolved.append(_unescape(word, 2 + after + (1 if resolved else 0)))
        after -= word.count(" ") + 1
    return " ".join(resolved)


def _unescape(word: str, times: int) -> str:
    return _ESCAPED.sub(lambda found: found[1][times:], word)


def _weighted(scanner: Scanner) -> Iterator[tuple[Span, float]]:
    products = [1.0]
    for event in scanner.events:
        if isinstance(event, Lora):
            continue
        subject, opens = event
        if isinstance(subject, int):
            yield (subject, opens), products[-1]
        elif opens:
            product = products[-1] * subject.weight
            if not math.isfinite(product):
                raise refuse_overflow(scanner.source, subject.number)
            products.append(product)
            scanner.notes += _note_weight(scanner.source, subject)
        else:
            products.pop()


def _note_weight(source: str, group: Group) -> tuple[Diagnostic, ...]:
    start, end = group.number
    if heavy := note_heavy(group.weight, group.number):
        return heavy
    if start < end < len(source) and source[end].isalnum():
        return (
            Diagnostic(
                f"{source[start:end]!r} is read as a weight, and what follows it as a word",
                (start, end),
                "put a blank after the bracket or the word if this is text",
            ),
        )
    return ()


def _stray(source: str, at: int) -> Diagnostic:
    return Diagnostic(
        f"{source[at]!r} is text here: it is not closed, or a lone sign or a '=' stands inside",
        (at, at + 1),
        f"write \\{source[at]} for the character itself",
    )


def _refuse_swap(source: str, at: int) -> PromptSyntaxError:
    found = _SWAP.match(source, at)
    return PromptSyntaxError(
        ".swap() needs cross-attention control, and without it only its first half would be read",
        source,
        found.span() if found else (at, at + 1),
        "write the words that you want",
    )
