"""Values typed on the command line, refused with a reason before anything is loaded."""

import argparse
import math


def count(text: str) -> int:
    """A whole number from 1."""
    value = integer(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {value}; needs at least 1")
    return value


def seed(text: str) -> int:
    """A seed."""
    value = integer(text)
    if not 0 <= value < 2**62:
        raise argparse.ArgumentTypeError(f"got {value}; needs 0 to 2**62")
    return value


def integer(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}; needs a whole number") from None


def finite(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"got {text!r}; needs a number") from None
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"got {value}; needs a finite number")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    value = finite(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"got {value}; needs 0 to 1")
    return value


def interval(text: str) -> tuple[float, float]:
    """Two rising numbers from 0 to 1, as START:END."""
    start, colon, end = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"got {text!r}; needs START:END, such as 0.2:0.8")
    ends = share(start), share(end)
    if ends[0] > ends[1]:
        raise argparse.ArgumentTypeError(f"got {text!r}; needs the smaller number first")
    return ends


def words(text: str) -> tuple[str, ...]:
    """Words with commas between them, each once."""
    found = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    if not all(found):
        raise argparse.ArgumentTypeError(f"got {text!r}; needs words with commas between them")
    return found


def counts(text: str) -> tuple[int, ...]:
    """Whole numbers from 1 with commas between them."""
    return tuple(count(word) for word in words(text))


def numbers(text: str) -> tuple[float, ...]:
    """Finite numbers with commas between them."""
    return tuple(finite(word) for word in words(text))
