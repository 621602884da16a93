"""Trainings with `clipcond.train`, from nothing and from the shipped CLIP, and how good they come out.

    pip install scikit-learn                                         # its wheel has the digits
    python -m weights.lab.measure.training                           # digits and scenes, about 50 minutes on one idle core
    npm pack openmoji && tar xzf openmoji-*.tgz                      # pictures are measured with, never shipped (CC BY-SA 4.0)
    python -m weights.lab.measure.training --openmoji package        # and fine-tuning on OpenMoji's drawings: pip install cairosvg

- digits: scikit-learn's handwritten digits, 1,198 pictures to learn from; the held-out third was written by other people.
- scenes: 60,000 scenes of the emoji world with one caption each, none of them held out, half of them of one thing alone; zero-shot
  over its 38 sprites alone, also in sizes and on backgrounds that no training picture has, and recall among held-out scenes.
- openmoji: the shipped CLIP fine-tuned on OpenMoji's drawings, but for those of the world's 20 nouns, which are what is measured,
  beside scenes of its own. What it costs is measured on the world's own sprites and scenes.

Writes weights/training.json, and docs/training-clip.md. Settings were chosen on training pictures ("val" of the digits).
"""

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import clipcond
from clipcond import ClipScorer, emoji
from clipcond.clip.training import Trained
from clipcond.emoji.world import NOUNS, PRESETS, SHIPPED
from clipcond.score import build_classifier, interval
from weights.lab import reports
from weights.lab.evaluate import clip_accuracy
from weights.lab.measure import openmoji as drawings
from weights.lab.measure.training_data import (
    DIGITS,
    Pair,
    digit_pairs,
    drawing_pairs,
    other_drawings,
    scene_pairs,
    write_table,
)
from weights.lab.reports import Json, percent, table

TOWERS = ("tiny", "tiny-resnet")
EPOCHS = 30  # of the digits
SCENES, BATCH, MINUTES = 60_000, 64, 18.5
EACH = 3  # pictures of a drawing
KNOWN = 4000  # scenes of its own that a fine-tuned CLIP sees again
FINE = dict(epochs=4, batch=128, rate=1e-4, crop=1)
FILE, PAGE = reports.WEIGHTS / "training.json", reports.ROOT / "docs" / "training-clip.md"
RESULTS = reports.ROOT / "benchmarks" / "results"
GRADIENTS, THROUGHPUT = RESULTS / "clip_gradients.json", RESULTS / "clip_throughput.json"


def trained(data: Path, out: Path, **options: object) -> Trained:
    """A training on the CPU in a folder of its own."""
    shutil.rmtree(out, ignore_errors=True)
    return clipcond.train(data, out, device="cpu", save_minutes=None, **options)


def about(result: Trained) -> Json:
    """How long it took."""
    rates = [row["pictures_per_second"] for row in result.history if "pictures_per_second" in row]
    return {
        "steps": result.steps,
        "minutes": round(result.minutes, 2),
        "pictures_per_second": round(float(np.median(rates)), 1),
        "hardware": reports.hardware(),
    }


def named(scorer: ClipScorer, pairs: list[Pair]) -> Json:
    """How often "the digit seven" is the nearest of ten."""
    classifier = build_classifier(DIGITS, scorer, templates=["the digit {}"])
    found = classifier.classify([pair.picture for pair in pairs], scorer).argmax(1).tolist()
    right = np.array([DIGITS[at] == pair.label for at, pair in zip(found, pairs, strict=True)])
    return interval(right.astype(float)).as_dict()


def digits(folder: Path, args: argparse.Namespace) -> Json:
    """From nothing on handwritten digits, both towers."""
    parts = digit_pairs()
    file = folder / "digits.parquet"
    write_table([*parts["train"], *parts["val"]], file)
    report: Json = {
        "pictures": len(parts["train"]) + len(parts["val"]),
        "held_out": len(parts["held_out"]),
    }
    for preset in args.towers:
        result = trained(
            file, folder / f"digits-{preset}", preset=preset, epochs=EPOCHS, held_out=0
        )
        scorer = ClipScorer.from_pretrained(result.folder)
        report[preset] = about(result) | {"zero_shot": named(scorer, parts["held_out"])}
    return report


def scenes(folder: Path, args: argparse.Namespace) -> Json:
    """From nothing on emoji scenes, both towers."""
    file = folder / "scenes.parquet"
    write_table(scene_pairs(SCENES, SHIPPED), file)
    report: Json = {"pictures": SCENES}
    for preset in args.towers:
        result = trained(
            file,
            folder / f"scenes-{preset}",
            preset=preset,
            minutes=MINUTES,
            batch=BATCH,
            held_out=0,
            crop=1,
        )
        scorer = ClipScorer.from_pretrained(result.folder)
        report[preset] = (
            about(result) | {"sprites": sprites(scorer)} | clip_accuracy(scorer, SHIPPED)
        )
    return report


def sprites(scorer: ClipScorer) -> Json:
    """Zero-shot over the world's 38 sprites, each alone on each of its backgrounds, in two sizes and two places."""
    side = PRESETS[SHIPPED].size
    shown = {
        name: [emoji.render(scene, side) for scene in drawings.scenes(name, SHIPPED)]
        for name in PRESETS[SHIPPED].sprites
    }
    return drawings.accuracy(scorer, shown)["top1"]


def fine_tuned(folder: Path, args: argparse.Namespace) -> Json:
    """The shipped CLIP on OpenMoji's drawings beside scenes of its own, with and without WiSE-FT."""
    found = other_drawings(args.openmoji, SHIPPED)
    np.random.default_rng(0).shuffle(found)
    chosen_by = len(found) // 10  # by WiSE-FT, in both styles
    file, val = folder / "drawings.parquet", folder / "val.parquet"
    for table_file, some, scenes_beside, seed in (
        (val, found[:chosen_by], KNOWN // 10, 2),
        (file, found[chosen_by:], KNOWN, 1),
    ):
        new = drawing_pairs(some, SHIPPED, each=EACH)
        write_table([*new, *scene_pairs(scenes_beside, SHIPPED, seed=seed)], table_file)
    report: Json = {"drawings": len(found) - chosen_by, "scenes": KNOWN}
    report["before"] = both_styles(ClipScorer.from_pretrained("emoji"), args.openmoji)
    for name, more in {"fine-tuned": {}, "with WiSE-FT": {"wise_ft": True}}.items():
        result = trained(
            file, folder / f"drawings-{name.split()[0]}", init="emoji", val=val, **FINE, **more
        )
        scorer = ClipScorer.from_pretrained(result.folder)
        report[name] = about(result) | both_styles(scorer, args.openmoji)
    return report


def both_styles(scorer: ClipScorer, package: Path) -> Json:
    """Zero-shot over the world's nouns as OpenMoji draws them; and over its own sprites, and recall among its own scenes."""
    names, pixels = PRESETS[SHIPPED].nouns, PRESETS[SHIPPED].size
    svg = package / "color" / "svg"
    shown = {
        name: [
            drawings.openmoji(drawings.drawing(drawings.file_of(NOUNS[name], svg)), scene, pixels)
            for scene in drawings.scenes(name, SHIPPED)
        ]
        for name in names
    }
    return {
        "openmoji": drawings.accuracy(scorer, shown)["top1"],
        "own": clip_accuracy(scorer, SHIPPED),
    }


MEASURED: dict[str, Callable[[Path, argparse.Namespace], Json]] = {
    "digits": digits,
    "scenes": scenes,
    "openmoji": fine_tuned,
}


def page(found: Json, gradients: Json, throughput: Json) -> str:
    """docs/training-clip.md."""
    return (
        (reports.TEMPLATES / "training-clip.md")
        .read_text()
        .format(
            gradients=gradient_table(gradients),
            throughput=throughput_table(throughput),
            digits=tower_table(found["digits"], "zero_shot"),
            digit_pictures=f"{found['digits']['pictures']:,}",
            digit_held=found["digits"]["held_out"],
            scenes=tower_table(
                found["scenes"], "sprites", "zero_shot_top1", "caption_to_image_recall1"
            ),
            scene_pictures=f"{found['scenes']['pictures']:,}",
            drawings=drawing_table(found["openmoji"]),
            drawing_pictures=f"{found['openmoji']['drawings']:,}",
            known_scenes=f"{found['openmoji']['scenes']:,}",
        )
    )


def tower_table(found: Json, *figures: str) -> str:
    """A row a preset: figures in percent, and what it took."""
    heads = {
        "zero_shot": "zero-shot",
        "sprites": "zero-shot",
        "zero_shot_top1": "unseen sizes and backgrounds",
        "caption_to_image_recall1": "text to picture R@1",
    }
    return table(
        ("preset", *(heads[name] for name in figures), "minutes", "pictures a second", "on"),
        [
            (
                f"`{preset}`",
                *(percent(found[preset][name]) for name in figures),
                f"{found[preset]['minutes']:.1f}",
                f"{found[preset]['pictures_per_second']:.0f}",
                found[preset]["hardware"],
            )
            for preset in TOWERS
        ],
    )


def drawing_table(found: Json) -> str:
    """The shipped CLIP before and after fine-tuning: what it knows of the new drawings and of its own world."""
    return table(
        ("", "OpenMoji, held out", "own sprites", "text to picture R@1", "minutes"),
        [
            (
                name,
                percent(found[name]["openmoji"]),
                percent(found[name]["own"]["zero_shot_top1"]),
                percent(found[name]["own"]["caption_to_image_recall1"]),
                f"{found[name]['minutes']:.1f}" if "minutes" in found[name] else "",
            )
            for name in ("before", "fine-tuned", "with WiSE-FT")
        ],
    )


def throughput_table(found: Json) -> str:
    """What `benchmarks.clip_throughput` found, a row a loop."""
    return table(
        ("loop", "pictures a second, median (quartiles)", "share of the matrix rate"),
        [
            (
                row["loop"],
                f"{row['pictures_per_second']:.0f} ({row['quartiles'][0]:.0f} to {row['quartiles'][1]:.0f})",
                f"{100 * row['matrix_share']:.0f} %" if row["matrix_share"] else "",
            )
            for row in found["rows"]
        ],
    )


def gradient_table(found: Json) -> str:
    """What `benchmarks.clip_gradients` found, a row a loss of either library and a number of processes."""
    return table(
        ("loss", "processes", "towers: length", "direction (cosine)", "logit scale: length"),
        [
            (
                row["loss"],
                str(row["processes"]),
                f"{row['towers_ratio']:.4f}",
                f"{row['towers_cosine']:.6f}",
                f"{row['scale_ratio']:.4f}",
            )
            for row in found["rows"]
        ],
    )


def main() -> None:
    """Train, measure, write."""
    parser = reports.parser(__doc__)
    parser.add_argument(
        "--only", nargs="+", choices=list(MEASURED), help="leave the others as they are"
    )
    parser.add_argument("--openmoji", type=Path, help="folder of the unpacked npm package")
    parser.add_argument(
        "--towers", nargs="+", choices=TOWERS, default=TOWERS, help="digits and scenes of these"
    )
    parser.add_argument("--page-only", action="store_true", help="from the JSON that is there")
    args = parser.parse_args()
    chosen = args.only or [name for name in MEASURED if name != "openmoji" or args.openmoji]
    with tempfile.TemporaryDirectory() as folder:
        for name in [] if args.page_only else chosen:
            new = MEASURED[name](Path(folder), args)
            # read only now: another process may have measured another part meanwhile
            found = json.loads(FILE.read_text()) if FILE.exists() else {}
            reports.write(found | {name: found.get(name, {}) | new}, FILE)
    found = json.loads(FILE.read_text())
    if MEASURED.keys() <= found.keys():
        measured = (json.loads(file.read_text()) for file in (GRADIENTS, THROUGHPUT))
        PAGE.write_text(page(found, *measured))


if __name__ == "__main__":
    main()
