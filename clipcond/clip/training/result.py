"""What `clipcond.train` gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipcond.clip.training.evaluation import Evaluation
from clipcond.clip.training.interpolation import Interpolated
from clipcond.clip.training.journal import read_log


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A training that came to its end, or to an interruption.

    Attributes:
        folder: the CLIP, as `load_clip`, `ClipScorer.from_pretrained` and every verb take it.
        digest: of its weights.
        steps: done, over all the calls that it took.
        minutes: spent on them.
        finished: whether it came to its end; if not, the same call with resume=True goes on, and `folder` holds no CLIP yet.
        before: how good the CLIP was that it began with; None from nothing, or where nothing was held out.
        after: how good it is; None where nothing was held out, or it was interrupted.
        mixed: by share of the new weights, how good their mixtures with the old ones are (WiSE-FT); empty without.
        broken: rows of the data that could not be read; `folder`/broken.jsonl names each.
        notes: what one should know about the data, a line each.
    """

    folder: Path
    digest: str
    steps: int
    minutes: float
    finished: bool
    before: Evaluation | None
    after: Evaluation | None
    mixed: tuple[Interpolated[Evaluation], ...]
    broken: int
    notes: tuple[str, ...]

    @property
    def history(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        return read_log(self.folder)

    def rows(self) -> list[dict[str, str]]:
        """How good, before and after, and of each mixture, as a table."""
        named: list[tuple[str, Evaluation | None]] = [("before", self.before)]
        named += [(f"{100 * row.alpha:.0f} % new", row.result) for row in self.mixed]
        named.append(("after", self.after))
        return [{"weights": name, **_told(found)} for name, found in named if found is not None]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "folder": str(self.folder),
            "digest": self.digest,
            "steps": self.steps,
            "minutes": self.minutes,
            "finished": self.finished,
            "before": self.before and self.before.as_dict(),
            "after": self.after and self.after.as_dict(),
            "mixed": [{"alpha": row.alpha} | row.result.as_dict() for row in self.mixed],
            "broken": self.broken,
        }

    def __str__(self) -> str:
        """Where it is and how good."""
        how = "" if self.after is None else f": {self.after}"
        return f"{self.folder} after {self.steps} steps, {self.minutes:.1f} minutes{how}"


def _told(found: Evaluation) -> dict[str, str]:
    shares: Mapping[str, Mapping[int, float]] = {
        "image to text R@": found.image_to_text,
        "text to image R@": found.text_to_image,
        "zero-shot top ": found.zero_shot,
    }
    return {
        f"{name}{k}": f"{100 * share:.1f} %"
        for name, by in shares.items()
        for k, share in by.items()
    }
