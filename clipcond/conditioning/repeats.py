"""What a call asks for several times, done once: a batch repeats prompts, and the negative one above all."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def once_each(function: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """The function's value for each item, found once for an object that comes again; in order."""
    found: dict[int, R] = {}
    kept = list(items)  # so that no two are at one place in memory
    for item in kept:
        if id(item) not in found:
            found[id(item)] = function(item)
    return [found[id(item)] for item in kept]
