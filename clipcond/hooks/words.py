"""Where the words of a call's prompts stand in what a denoiser reads of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from clipcond.errors import ClipcondError
from clipcond.prompt.tree import shortened

_LISTED = 40


@dataclass(frozen=True, slots=True)
class Word:
    """A token of a text.

    Attributes:
        text: the characters that it covers.
        start: the first of its positions in the text's row.
        length: how many it has.
        goes_on: whether it goes on with the word of the token before it.
    """

    text: str
    start: int
    length: int
    goes_on: bool

    @property
    def positions(self) -> range:
        """Those in the row."""
        return range(self.start, self.start + self.length)


@dataclass(frozen=True, slots=True)
class Text:
    """What a denoiser reads for one prompt, or for a state of it.

    Attributes:
        encoders: its tokens, as each of the text encoders whose states it reads has them.
        cut: what none of them was given.
    """

    encoders: tuple[tuple[Word, ...], ...]
    cut: str

    def find(self, word: str) -> list[int]:
        """The positions of every occurrence: of whole words, else of tokens that are parts of some."""
        asked = _bare(word)
        runs = [run for words in self.encoders for run in _runs(words, asked)]
        whole = [run for run in runs if run.is_whole]
        return sorted({position for run in whole or runs for position in run.positions})


@dataclass(frozen=True, slots=True)
class Texts:
    """What was encoded for the prompts of a call.

    Attributes:
        rows: each row that is read at some time.
        length: positions of a row.
        pictures: of each prompt.
    """

    rows: tuple[Text, ...]
    length: int
    pictures: int

    def find(self, word: str) -> dict[int, list[int]]:
        """The positions of a word in every row that has it.

        Raises:
            ClipcondError: none has.
        """
        if not _bare(word):
            raise ClipcondError(f"{word!r} is no word; ask for one of {self._known}")
        found = {row: text.find(word) for row, text in enumerate(self.rows)}
        found = {row: positions for row, positions in found.items() if positions}
        if found:
            return found
        cut = next((text.cut for text in self.rows if _bare(word) in _bare(text.cut)), "")
        why = f"it was cut, with all of {shortened(cut)!r}" if cut else "it is in no prompt"
        raise ClipcondError(f"{word!r}: {why}; there are {self._known}")

    @property
    def words(self) -> list[str]:
        """Every word once, as the first encoder has it."""
        words: list[str] = []
        for text in self.rows:
            for token in text.encoders[0]:
                if token.goes_on and words:
                    words[-1] += token.text
                else:
                    words.append(token.text.strip())
        return list(dict.fromkeys(word for word in words if word))

    @property
    def _known(self) -> str:
        known = self.words
        more = ", ..." if len(known) > _LISTED else ""
        return ", ".join(map(repr, known[:_LISTED])) + more


@dataclass(frozen=True, slots=True)
class _Run:
    positions: tuple[int, ...]
    is_whole: bool


def _runs(words: Sequence[Word], asked: str) -> list[_Run]:
    """Every run of tokens that makes what is asked for."""
    found: list[_Run] = []
    for first in range(len(words)):
        if not _bare(words[first].text):  # a blank that the tokenizer put there
            continue
        made = ""
        for last in range(first, len(words)):
            made += _bare(words[last].text)
            if not asked.startswith(made):
                break
            if made == asked:
                positions = tuple(p for word in words[first : last + 1] for p in word.positions)
                found.append(_Run(positions, _parted(words, first) and _parted(words, last + 1)))
                break
    return [run for run in found if run.positions]


def _parted(words: Sequence[Word], at: int) -> bool:
    """Whether a word ends before a token: marks that stick to words are none of them."""
    if not 0 < at < len(words) or not words[at].goes_on:
        return True
    before, after = _bare(words[at - 1].text)[-1:], _bare(words[at].text)[:1]
    return not (before.isalnum() and after.isalnum())


def _bare(text: str) -> str:
    """A text as it is compared: without blanks, in lower case."""
    return "".join(text.split()).casefold()
