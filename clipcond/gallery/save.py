"""Writing one run: NNNN-grid.png and NNNN-RANK-seedSEED.png, numbered on so that no earlier run is overwritten."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipcond.gallery.folder import next_run
from clipcond.gallery.grid import Caption, draw_grid
from clipcond.gallery.metadata import png_info
from clipcond.generation import Generation


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """File names of one run, pictures in rank order."""

    grid: str
    pictures: tuple[str, ...]


def save_generation(
    generation: Generation, stage: Path, *, folder: Path, marks: Sequence[tuple[bool, str]] = ()
) -> Saved:
    """Write the pictures at their own size, with metadata, and the labelled grid.

    Args:
        generation: what to write.
        stage: where to write now (of `staged`).
        folder: where the files will lie; its earlier runs set this one's number.
        marks: for each picture whether it shows what was asked, and in a few words; none where nobody can tell.
    """
    run = next_run(folder)
    names, captions = [], []
    rows = zip(generation.images, generation.seeds, generation.scores.tolist(), strict=True)
    for i, (image, seed, score) in enumerate(rows):
        passed, verdict = marks[i] if marks else (False, "")
        name = f"{run:04d}-{i + 1:02d}-seed{seed}.png"
        info = png_info(generation.provenance, seed=seed, score=score, size=image.size)
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
    return Saved(grid=grid, pictures=tuple(names))
