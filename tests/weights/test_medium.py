"""The CLIPs of the medium world tell a scene from each of its near misses, by captions that say all."""

import numpy as np
import pytest

from clipcond import ClipScorer, emoji
from clipcond.emoji.captions import compose
from clipcond.emoji.misses import MISSES
from clipcond.emoji.scenes import draw
from clipcond.emoji.world import PRESETS
from weights.lab.reports import WEIGHTS

EACH = 12


def pairs(kind: str, rng: np.random.Generator) -> list[emoji.Scene]:
    """Scenes, each followed by its near miss."""
    found: list[emoji.Scene] = []
    while len(found) < 2 * EACH:
        scene = draw(rng, PRESETS["medium"])
        missed = MISSES[kind](scene, rng, PRESETS["medium"])
        if missed is not None:
            found += [scene, missed]
    return found


@pytest.mark.parametrize("folder", ["clip", "judge"])
def test_each_near_miss_is_told_apart(folder: str) -> None:
    scorer = ClipScorer.from_pretrained(WEIGHTS / "medium" / folder)
    rng = np.random.default_rng(0)
    scenes = [scene for kind in MISSES for scene in pairs(kind, rng)]
    flags = dict(with_relation=True, with_background=True, with_places=True)
    captions = [compose(scene, rng, **flags) for scene in scenes]
    table = scorer.similarity([emoji.render(scene, 64) for scene in scenes], captions).numpy()
    own = np.arange(0, len(scenes), 2)
    right = (table[own, own] > table[own, own + 1]) & (table[own, own] > table[own + 1, own])
    shares = right.reshape(len(MISSES), EACH).mean(1)
    assert dict(zip(MISSES, shares, strict=True)) == pytest.approx(dict.fromkeys(MISSES, 1.0), abs=0.2)  # fmt: skip
    assert right.mean() >= 0.97
