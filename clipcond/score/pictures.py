"""Pictures that have no features, and the work that goes on without them."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from clipcond.errors import ScoreError

Key = TypeVar("Key")
Picture = TypeVar("Picture")
Result = TypeVar("Result")


class PictureError(ScoreError):
    """Pictures that have no features; the others can be scored without them.

    Attributes:
        reasons: what is wrong, by the picture's place in the input.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(reasons)
        self.reasons = dict(reasons)

    def __str__(self) -> str:
        """The first of them, and how many more there are."""
        place, reason = next(iter(self.reasons.items()))
        more = f" (and {len(self.reasons) - 1} more)" if len(self.reasons) > 1 else ""
        return f"images[{place}]: {reason}{more}"


def of_each_that_can(
    pictures: Mapping[Key, Picture], work: Callable[[dict[Key, Picture]], Result]
) -> tuple[tuple[list[Key], Result] | None, dict[Key, str]]:
    """Do the work for all pictures but those that have no features.

    Args:
        pictures: by whatever tells them apart.
        work: with some of them, in order; raises PictureError.

    Returns:
        ((whose it was done, what came of it), or None where none can; what is wrong with the others).
    """
    left, wrong = dict(pictures), dict[Key, str]()
    while left:
        try:
            return (list(left), work(left)), wrong
        except PictureError as error:
            keys = list(left)
            wrong |= {keys[place]: reason for place, reason in error.reasons.items()}
            left = {key: picture for key, picture in left.items() if key not in wrong}
    return None, wrong
