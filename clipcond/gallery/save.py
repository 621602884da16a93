"""Writing one run: NNNN-grid.png, NNNN-RANK-seedSEED.png and NNNN-RANK-seedSEED-attention-WORD.png, numbered on so that no earlier run is overwritten."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from clipcond.gallery.folder import next_run
from clipcond.gallery.grid import Caption, draw_grid
from clipcond.gallery.metadata import png_info
from clipcond.generation import Generation

_NONE: Mapping[str, Sequence[Image.Image]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """File names of one run, pictures in rank order; `attention` has those of each word's maps."""

    grid: str
    pictures: tuple[str, ...]
    attention: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def save_generation(
    generation: Generation,
    stage: Path,
    *,
    folder: Path,
    marks: Sequence[tuple[bool, str]] = (),
    attention: Mapping[str, Sequence[Image.Image]] = _NONE,
) -> Saved:
    """Write the pictures at their own size, with metadata, and the labelled grid.

    Args:
        generation: what to write.
        stage: where to write now (of `staged`).
        folder: where the files will lie; its earlier runs set this one's number.
        marks: for each picture whether it shows what was asked, and in a few words; none where nobody can tell.
        attention: for each word a map over each picture.
    """
    run = next_run(folder)
    names, captions = [], []
    rows = zip(generation.images, generation.seeds, generation.scores.tolist(), strict=True)
    for i, (image, seed, score) in enumerate(rows):
        passed, verdict = marks[i] if marks else (False, "")
        name = f"{run:04d}-{i + 1:02d}-seed{seed}.png"
        info = png_info(generation.provenance, seed=seed, scored={"score": score}, size=image.size)
        image.save(stage / name, pnginfo=info)
        names.append(name)
        captions.append(
            Caption(
                title=f"#{i + 1}   CLIP {score:.4f}",
                detail=f"seed {seed}",
                verdict=verdict,
                passed=passed,
            )
        )
    grid = f"{run:04d}-grid.png"
    draw_grid(generation.images, captions, generation.provenance["prompt"]).save(stage / grid)
    maps = {
        word: tuple(
            _save_map(stage, name, word, image) for name, image in zip(names, images, strict=True)
        )
        for word, images in attention.items()
    }
    return Saved(grid=grid, pictures=tuple(names), attention=maps)


def _save_map(stage: Path, picture: str, word: str, image: Image.Image) -> str:
    letters = re.sub(r"\W+", "-", word)
    name = f"{Path(picture).stem}-attention-{letters}.png"
    image.save(stage / name)
    return name
