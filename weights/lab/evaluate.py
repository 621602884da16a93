"""Measure the shipped models on held-out prompts and write `weights/evaluation.json`, which the card is made from.

    python -m weights.lab.evaluate                        # everything, about 20 minutes on two cores
    python -m weights.lab.evaluate --preset full --model runs/full/shipped/emoji --judge runs/full/shipped/judge
    python -m weights.lab.evaluate --split train --only tasks --guidance-scale 5   # to choose settings: never held-out ones

Intervals are 95 % bootstrap intervals over prompts (scipy), since pictures of one prompt are not independent.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from clipcond import ClipScorer, emoji
from clipcond.emoji.captions import compose, noun_phrase
from clipcond.emoji.requirements import Background
from clipcond.emoji.scenes import draw, is_held_out
from clipcond.emoji.world import NOUNS, PRESETS, SHIPPED, UNITS
from weights.lab import reports
from weights.lab.drawing import Studio, hard_prompts, judged
from weights.lab.reports import Json, interval
from weights.lab.train.pipeline import save_grid

CANDIDATES = 8
SEEDS = {"small": 3, "medium": 3, "full": 4}  # pictures a prompt
WEIGHTED_SEEDS = 2
PAIRS = 50
WEIGHTS = (0.4, 0.7, 1.0, 1.3, 1.6)
UNSEEN_BACKGROUNDS = ((200, 225, 205), (120, 160, 170), (245, 225, 225), (214, 196, 180))
UNSEEN_SIZES = (11, 14)
RECALL_SCENES = {"small": 256, "medium": 256, "full": 1000}
GRID_PROMPTS = 64
_EVALUATION_SEED = 1 << 55


def tasks(studio: Studio, args: argparse.Namespace) -> Json:
    """Accuracy a task by the oracle; and how often the background is right where a prompt names one."""
    report: Json = {}
    backgrounds: list[float] = []
    for name, every in emoji.tasks(args.preset, split=args.split).items():
        prompts = every[: args.prompts]
        verdicts = judged(prompts, studio.table(prompts, SEEDS[args.preset], name), args.preset)
        report[name] = interval(np.array(verdicts, dtype=bool).mean(1))
        named = [[background_passed(v) for v in row] for row in verdicts]
        backgrounds += [np.mean(row) for row in named if row[0] is not None]
    report["background"] = interval(np.array(backgrounds))
    return {"tasks": report}


def background_passed(verdict: emoji.Verdict) -> bool | None:
    """Whether the background is right; None where the prompt names none."""
    found = [passed for requirement, passed in verdict.items if isinstance(requirement, Background)]
    return found[0] if found else None


def reranking(studio: Studio, args: argparse.Namespace) -> Json:
    """On the hard tasks together: mean of 8, best of 8 by each CLIP, and by the oracle itself as the ceiling."""
    prompts = hard_prompts(args.prompts, args.preset, args.split)
    rows = studio.table(prompts, CANDIDATES, "best of 8")
    truth = np.array(judged(prompts, rows, args.preset), dtype=bool)
    report: Json = {"mean": interval(truth.mean(1)), "oracle": interval(truth.max(1))}
    for name, folder in (("clip", args.model), ("judge", args.judge)):
        scorer = ClipScorer.from_pretrained(folder)
        best = [
            int(scorer.similarity(row, [p]).argmax()) for p, row in zip(prompts, rows, strict=True)
        ]
        chosen = truth[np.arange(len(truth)), best]
        report[name] = interval(chosen)
        report[f"{name} gain"] = interval(chosen - truth.mean(1))
    return {"best_of_8": report}


Pair = tuple[str, str, str, str, bool]


def weighted_pairs(split: str, count: int, preset: str = SHIPPED) -> list[Pair]:
    """Two-object prompts to weigh: both sprites, their phrases, and whether the weighted one, the first, leads."""
    rng = np.random.default_rng(_EVALUATION_SEED)
    pairs: list[Pair] = []
    while len(pairs) < count:
        scene = draw(rng, PRESETS[preset], "pair")
        if is_held_out(scene) == (split == "held_out"):
            first, second = scene.groups
            phrases = noun_phrase(first, rng), noun_phrase(second, rng)
            pairs.append((first.sprite, second.sprite, *phrases, bool(rng.random() < 0.5)))
    return pairs


def found_at_weight(studio: Studio, pairs: list[Pair], weight: float, name: str) -> np.ndarray:
    """[pairs, 2]: the share of pictures in which the oracle finds the weighted object, and the other one."""
    prompts = [
        f"({a}:{weight}) and {b}" if front else f"{b} and ({a}:{weight})"
        for _, _, a, b, front in pairs
    ]
    rows = studio.table(prompts, WEIGHTED_SEEDS, name)
    found = []
    for pair, row in zip(pairs, rows, strict=True):
        seen = [{item.sprite for item in emoji.read(image, studio.preset).items} for image in row]
        found.append([np.mean([sprite in s for s in seen]) for sprite in pair[:2]])
    return np.array(found)


def weighting(studio: Studio, args: argparse.Namespace) -> Json:
    """How often each of two objects is found, as the weight of one of them moves."""
    pairs = weighted_pairs(args.split, args.pairs, args.preset)
    report: Json = {}
    for weight in WEIGHTS:
        found = found_at_weight(studio, pairs, weight, f"weight {weight}")
        report[str(weight)] = {"weighted": interval(found[:, 0]), "other": interval(found[:, 1])}
    return {"weighting": report}


def clip_accuracy(scorer: ClipScorer, preset: str) -> Json:
    """Zero-shot top-1 at unseen sizes and backgrounds; recall@1 among distinct held-out scenes, both ways."""
    names, side = PRESETS[preset].sprites, PRESETS[preset].size
    prompts = [f"a photo of {'an' if name[0] in 'aeiou' else 'a'} {name}" for name in names]
    images, truth = [], []
    for label, name in enumerate(names):
        for size in UNSEEN_SIZES:
            for background in UNSEEN_BACKGROUNDS:
                middle = (UNITS - size) // 2
                item = emoji.Item(name, middle + 2, middle - 2, size)
                images.append(emoji.render(emoji.Scene(background, (item,)), side))
                truth.append(label)
    right = scorer.similarity(images, prompts).argmax(1).numpy() == np.array(truth)
    by_sprite = right.reshape(len(names), -1).mean(1)
    scenes, captions = distinct_scenes(RECALL_SCENES[preset], preset)
    similarity = scorer.similarity([emoji.render(scene, side) for scene in scenes], captions)
    label = torch.arange(len(scenes))
    return {
        "zero_shot_top1": interval(by_sprite),
        "weakest": {names[i]: by_sprite[i] for i in by_sprite.argsort()[:3]},
        "caption_to_image_recall1": interval((similarity.argmax(0) == label).float().numpy()),
        "image_to_caption_recall1": interval((similarity.argmax(1) == label).float().numpy()),
        "nouns": sum(name in NOUNS for name in names),
    }


def distinct_scenes(count: int, preset: str) -> tuple[list[emoji.Scene], list[str]]:
    """Held-out scenes with complete captions, no two alike."""
    found: dict[str, emoji.Scene] = {}
    rng = np.random.default_rng(_EVALUATION_SEED)
    seed = _EVALUATION_SEED
    while len(found) < count:
        scene = emoji.sample(seed, preset, held_out=True)
        text = compose(scene, rng, with_relation=True, with_background=True, with_places=True)
        found.setdefault(text, scene)
        seed += 1
    return list(found.values()), list(found)


def clips(_studio: Studio, args: argparse.Namespace) -> Json:
    """Both CLIPs, alone."""
    folders = {"clip": args.model, "judge": args.judge}
    return {
        "clips": {
            name: clip_accuracy(ClipScorer.from_pretrained(folder), args.preset)
            for name, folder in folders.items()
        }
    }


def grid(studio: Studio, args: argparse.Namespace) -> Json:
    """Pictures of held-out captions as one PNG, the captions beside it as text; and how many of them are right."""
    seeds = range(_EVALUATION_SEED, _EVALUATION_SEED + GRID_PROMPTS)
    prompts = [
        emoji.caption(emoji.sample(seed, args.preset, held_out=True), seed) for seed in seeds
    ]
    images = studio.draw(prompts, list(range(GRID_PROMPTS)), "grid")
    save_grid(images, prompts, args.grid)
    right = judged(prompts, [[image] for image in images], args.preset)
    return {"grid": {"prompts": GRID_PROMPTS, "right": sum(bool(row[0]) for row in right)}}


PARTS: dict[str, Callable[[Studio, argparse.Namespace], Json]] = {
    "clips": clips,
    "tasks": tasks,
    "reranking": reranking,
    "weighting": weighting,
    "grid": grid,
}


def main() -> None:
    """Measure and write."""
    parser = reports.parser(__doc__, *reports.SAMPLING, "judge", "preset", "json")
    parser.add_argument("--grid", type=Path, help=f"a PNG of {GRID_PROMPTS} held-out prompts")
    parser.add_argument("--only", choices=list(PARTS), action="append", help="one part of it")
    parser.add_argument("--split", choices=["held_out", "train"], default="held_out")
    parser.add_argument("--prompts", type=int, default=100, help="a task")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="prompts of the weighting table")
    args = parser.parse_args()
    studio, start = Studio(args, args.preset), time.monotonic()
    report: Json = {
        "preset": args.preset,
        "split": args.split,
        "prompts": args.prompts,
        "seeds": SEEDS[args.preset],
        "pairs": args.pairs,
        "weighted_seeds": WEIGHTED_SEEDS,
        "steps": args.steps,
        "guidance_scale": args.guidance_scale,
        "hardware": reports.hardware(args.device),
        "torch": torch.__version__,
    }
    for name in args.only or [part for part in PARTS if part != "grid" or args.grid]:
        report |= PARTS[name](studio, args)
    report["minutes"] = round((time.monotonic() - start) / 60, 1)
    reports.write(report, args.json)


if __name__ == "__main__":
    main()
