"""The World tab's pictures: a scene with what the oracle reads in it, and the quiz."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from PIL import Image

from clipcond import emoji
from clipcond.emoji.world import UNITS

from .studio import Drawn
from .view import bar, mark, picture, requirements, verdict_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiz:
    """One player's game.

    Attributes:
        drawn: the pictures in question, by falling score; None before the first.
        shuffled: ranks in the order that they are shown.
        played: questions answered.
        agreed: how often the player found CLIP's favourite.
        clip_right: how often that favourite showed what was asked.
        answered: the rank that was chosen; None while the question is open.
    """

    drawn: Drawn | None = None
    shuffled: tuple[int, ...] = ()
    played: int = 0
    agreed: int = 0
    clip_right: int = 0
    answered: int | None = None

    def answer(self, place: int) -> "Quiz":
        """The game after a choice; a second choice changes nothing."""
        if self.drawn is None or self.answered is not None:
            return self
        rank = self.shuffled[place]
        return replace(
            self,
            played=self.played + 1,
            agreed=self.agreed + (rank == 0),
            clip_right=self.clip_right + bool(self.drawn.verdicts[0]),
            answered=rank,
        )


def read_back(
    title: str, image: Image.Image, reading: emoji.Reading, verdict: emoji.Verdict
) -> str:
    """A picture with a box around everything that the oracle sees, and the list of what was asked."""
    boxes = "".join(_box(item, "") for item in reading.items)
    boxes += "".join(_box(item, " doubt") for item in reading.doubtful)
    left = "" if reading.clean else '<p class="faint">something is left that no sprite explains</p>'
    return (
        f'<figure class="scene"><figcaption>{escape(title)}</figcaption><div class="boxed">{picture(image, title)}{boxes}</div>'
        f"{verdict_line(mark(verdict))}{requirements(verdict)}{left}</figure>"
    )


def _box(item: emoji.Item, kind: str) -> str:
    share = 100 / UNITS
    edge = " low" if item.y < 4 else ""
    return (
        f'<span class="box{kind}{edge}" style="left:{item.x * share:.2f}%;top:{item.y * share:.2f}%;'
        f'width:{item.size * share:.2f}%;height:{item.size * share:.2f}%"><em>{escape(item.sprite)}</em></span>'
    )


def scenes(parts: Sequence[str]) -> str:
    """Several of them side by side."""
    return f'<div class="scenes">{"".join(parts)}</div>'


def question(quiz: Quiz) -> str:
    """Eight pictures, each a button; after the answer their scores and verdicts as well."""
    if quiz.drawn is None:
        return ""
    generation = quiz.drawn.generation
    scores = generation.scores.tolist()
    low, high = min(scores), max(scores)
    found = []
    for place, rank in enumerate(quiz.shuffled):
        known, pressed = "", quiz.answered == rank
        if quiz.answered is not None:
            share = 0.12 + 0.88 * (scores[rank] - low) / max(high - low, 1e-6)
            crown = '<span class="crown">best to CLIP</span>' if rank == 0 else ""
            known = (
                f'<span class="line">{bar(share, f"{scores[rank]:.3f}")}</span>'
                f"{verdict_line(mark(quiz.drawn.verdicts[rank]))}{crown}"
            )
        found.append(
            f'<button class="card" data-rank="{place}" aria-pressed="{str(pressed).lower()}" '
            f'aria-label="picture {place + 1}">{picture(generation.images[rank])}{known}</button>'
        )
    asked = escape(generation.provenance["scored_text"])
    return f'<p class="asked">“{asked}”</p><div class="cards">{"".join(found)}</div><p class="status">{_said(quiz)}</p>'


def _said(quiz: Quiz) -> str:
    if quiz.drawn is None or quiz.answered is None:
        return "Which one does CLIP like best? Click it."
    right = sum(map(bool, quiz.drawn.verdicts))
    yours = "You chose CLIP's favourite." if quiz.answered == 0 else "CLIP prefers another one."
    shows = "shows" if quiz.drawn.verdicts[0] else "does not show"
    return (
        f"{yours} Its favourite {shows} what was asked; {right} of {len(quiz.drawn.verdicts)} do. "
        f"So far: you agreed with CLIP {quiz.agreed} of {quiz.played} times, and it was right {quiz.clip_right} of {quiz.played}."
    )
