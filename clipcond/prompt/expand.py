"""`expand`: one plain prompt out of the many that a text stands for, before any dialect reads it.

    {a|b|c}            one of these              {0.7::a|0.3::b}   these seven and three times in ten
    {2$$a|b|c}         two of them, by commas    {2$$ and $$a|b}   by " and "
    {1-2$$a|b|c}       one or two                {-2$$a|b} {1-$$a|b}
    __colour__         a line of colour.txt      __sky/colour__    of sky/colour.txt

The syntax is that of the dynamic prompts of AUTOMATIC1111's web UI, without variables, samplers and `*` in names.
Options and lines may hold all of it again. What a bracket takes several of, it takes without repeats; of a lone
wildcard it takes lines.

Only `random.Random.random` decides: its sequence is the same on every platform and in every version of Python. Nothing
recurses, so that text that leads to more text ends where a number says so.
"""

import math
import operator
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clipcond.errors import ClipcondError, PromptSyntaxError
from clipcond.prompt.choices import Choice, Name, Node, read
from clipcond.prompt.dialects import check_text
from clipcond.prompt.wildcards import Wildcards

_MAX_CHAIN = 50  # wildcards, each in a line of the one before
_MAX_LINES = 10_000  # of all wildcards in one prompt


@dataclass(frozen=True, slots=True)
class _Text:
    """What nodes stand in: the prompt, or a line and the wildcards that led to it."""

    source: str
    chain: tuple[str, ...] = ()


_Placed = tuple[Node, _Text]


def expand(text: str, seed: int = 0, wildcards: str | os.PathLike[str] | None = None) -> str:
    """Choose among what a prompt leaves open, once.

    Args:
        text: the prompt as typed; one without such syntax comes back as it is.
        seed: the same seed gives the same text.
        wildcards: a folder of .txt files, an option a line; blank lines and those that begin with # are skipped.

    Raises:
        PromptSyntaxError: a bracket is not closed or closes nothing, there is no such wildcard, or wildcards lead to
            themselves.
        ClipcondError: `text` is no string, `seed` no whole number, or the folder or a file cannot be read.
    """
    check_text(text)
    try:
        dice = random.Random(operator.index(seed))
    except TypeError:
        raise ClipcondError(f"seed: got {seed!r}; needs a whole number") from None
    return _Writer(dice, Wildcards(wildcards)).write(text)


@dataclass(slots=True)
class _Writer:
    dice: random.Random
    wildcards: Wildcards
    taken: int = 0

    def write(self, text: str) -> str:
        """The text with everything chosen, from left to right."""
        written: list[str] = []
        waiting = _placed(read(text), _Text(text))[::-1]
        while waiting:
            node, place = waiting.pop()
            if isinstance(node, str):
                written.append(node)
            elif isinstance(node, Name):
                lines = self._lines(node, place)
                line = lines[int(self.dice.random() * len(lines))]
                waiting += self._line(line, node, place)[::-1]
            else:
                waiting += [*self._chosen(node, place)][::-1]
        return "".join(written)

    def _chosen(self, choice: Choice, place: _Text) -> Iterator[_Placed]:
        """Some of a bracket's options, or of the lines of the wildcard that is all it holds."""
        match choice.options:
            case [[Name() as name]]:
                lines = self._lines(name, place)
                for i, at in enumerate(self._picked(choice, [1.0] * len(lines), place)):
                    yield from [(choice.joiner, place)] if i else []
                    yield from self._line(lines[at], name, place)
            case options:
                for i, at in enumerate(self._picked(choice, choice.weights, place)):
                    yield from [(choice.joiner, place)] if i else []
                    yield from _placed(options[at], place)

    def _picked(self, choice: Choice, weights: Sequence[float], place: _Text) -> list[int]:
        """As many of the options as the bracket takes, in the order of a race in which each is as fast as its weight."""
        possible = [at for at, weight in enumerate(weights) if weight > 0]
        if not possible:
            raise PromptSyntaxError(
                "all of its weights are 0", place.source, choice.span, "give one that is more"
            )
        most = len(possible) if choice.most is None else choice.most
        count = choice.least
        if most > count:
            count += int(self.dice.random() * (most - count + 1))
        times = {at: -math.log(1 - self.dice.random()) / weights[at] for at in possible}
        return sorted(possible, key=times.__getitem__)[:count]

    def _lines(self, node: Name, place: _Text) -> list[str]:
        return self.wildcards.lines(node.name, place.source, node.span)

    def _line(self, line: str, node: Name, place: _Text) -> list[_Placed]:
        """What a wildcard's line holds."""
        chain = (*place.chain, node.name)
        self.taken += 1
        if len(chain) > _MAX_CHAIN or self.taken > _MAX_LINES:
            raise PromptSyntaxError(
                f"wildcards lead to one another without end: {' -> '.join(chain[-5:])}",
                place.source,
                node.span,
                "let more of their lines hold no wildcard",
            )
        try:
            return _placed(read(line), _Text(line, chain))
        except PromptSyntaxError as error:
            message = f"in a line of the wildcard {node.name!r}: {error.message}"
            raise PromptSyntaxError(message, line, error.span, error.hint) from None


def _placed(nodes: Sequence[Node], place: _Text) -> list[_Placed]:
    return [(node, place) for node in nodes]
