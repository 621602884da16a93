"""Write the model card, `weights/emoji/README.md`, from measurements: no figure in it is typed by hand.

python -m weights.lab.card          # reads weights/{recipe,plan,oracle,evaluation,openmoji,speed}.json
"""

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from safetensors import safe_open

from clipcond.emoji.captions import NUMBERS
from clipcond.emoji.world import GRID, PRESETS, SHAPES, SIZES, UNITS
from weights.lab.drawing import HARD
from weights.lab.reports import TEMPLATES, WEIGHTS, Json, percent, points, table

MEASURED = ("recipe", "plan", "oracle", "evaluation", "openmoji", "speed")
TARGETS = {
    "small": {
        "single object": 0.90,
        "colors": 0.90,
        "background": 0.97,
        "two objects": 0.70,
        "counting": 0.70,
        "position": 0.55,
        "color attribution": 0.55,
    },
    "full": {
        "single object": 0.95,
        "colors": 0.95,
        "two objects": 0.85,
        "counting": 0.80,
        "position": 0.75,
        "color attribution": 0.75,
    },
}
RECALL_TARGETS = {"small": 0.80, "medium": 0.95, "full": 0.85}
_KINDS = {
    "single": "one thing",
    "pair": "two things",
    "count": "two to {} alike",
    "mixed": "two or three beside one or two of another kind",
    "several": "three or four different ones",
}


def parameters(folder: Path) -> int:
    """Number of weights in a folder's safetensors."""
    total = 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - a safetensors file is no dict
                size = 1
                for side in tensors.get_slice(name).get_shape():
                    size *= side
                total += size
    return total


def listed(names: Sequence[str], last: str) -> str:
    """`a, b or c`."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]])


def world(preset: str) -> dict[str, str]:
    """What the model knows."""
    known = PRESETS[preset]
    shapes, colors = listed([f"{shape}s" for shape in SHAPES], "and"), listed(known.colors, "and")
    kinds = listed(
        [
            text.format(NUMBERS[known.max_objects])
            for kind, text in _KINDS.items()
            if kind in known.kinds
        ],
        "or",
    )
    knows = (
        f"{len(known.nouns)} nouns ({', '.join(known.nouns)}); {shapes} in {colors}; {kinds}; {listed(list(SIZES), 'or')}; "
        f"left of, right of, above, below; on a {listed(known.backgrounds, 'or')} background; "
        f"all on a grid of {GRID * known.size // UNITS} px. `clipcond/emoji/captions.py` has its synonyms."
    )
    return {
        "size": f"{known.size} x {known.size} px",
        "count": f"{len(known.nouns)}",
        "knows": fill(knows, 120),
        "chance": f"{100 / len(known.nouns):.2g} %",
    }


def parts() -> str:
    """A row a part of what ships."""
    names = ("unet", "text_encoder", "vae", "clip")
    rows = [(f"`{name}/`", f"{parameters(WEIGHTS / 'emoji' / name) / 1e6:.2f} M") for name in names]
    rows.append(("`../judge/`", f"{parameters(WEIGHTS / 'judge') / 1e6:.2f} M"))
    return table(("part", "parameters"), rows)


def recipe_section(recipe: Json, plan: Json) -> dict[str, str]:
    """How it was trained, and how fast that goes."""
    stages = [
        (s["stage"], f"{s['minutes']:.0f}", f"{s['samples']:,}", s["what"])
        for s in recipe["stages"]
    ]
    speeds = [
        (
            row["stage"],
            f"{row['forward_gflop']:.2f}",
            f"{row['pictures_per_second']:,.0f}",
            f"{100 * row['matrix_share']:.1f} %",
        )
        for row in plan["stages"]
    ]
    head = ("stage", "GFLOP a forward", "pictures a second", "of the matrix rate")
    return {
        "stages": table(("stage", "minutes", "samples", "what"), stages),
        "notes": recipe["notes"],
        "hardware": recipe["hardware"],
        "commands": "\n".join(recipe["commands"]),
        "speeds": table(head, speeds),
        "matrix": f"{plan['hardware']}: {plan['matrix_tflops']:.3g} TFLOP/s in a matrix product in {plan['dtype']}",
    }


def task_rows(evaluation: Json) -> list[tuple[str, ...]]:
    """Measured against target."""
    rows = []
    targets = TARGETS[evaluation["preset"]]
    for name, found in evaluation["tasks"].items():
        miss = 100 * (targets.get(name, 0.0) - found["mean"])
        verdict = "met" if miss <= 0 else f"missed by {miss:.1f}"
        known = name in targets
        target = f"{100 * targets[name]:.0f} %" if known else ""
        rows.append((name, target, percent(found), verdict if known else ""))
    return rows


def evaluation_section(evaluation: Json) -> dict[str, str]:
    """What it draws: tasks, best of eight, weights."""
    best = evaluation["best_of_8"]
    gain = 100 * best["clip gain"]["mean"]
    choices = [
        ("any one (mean)", percent(best["mean"])),
        ("best by `clip/` (conditioned the pictures: circular)", percent(best["clip"])),
        ("best by `../judge` (another seed)", percent(best["judge"])),
        ("best by the oracle (the ceiling)", percent(best["oracle"])),
    ]
    weights = [
        (weight, percent(found["weighted"]), percent(found["other"]))
        for weight, found in evaluation["weighting"].items()
    ]
    weight_head = ("weight", "the weighted object is found", "the other one is found")
    keys = ("prompts", "seeds", "steps", "pairs", "weighted_seeds")
    return {key: str(evaluation[key]) for key in keys} | {
        "best_prompts": f"{evaluation['prompts'] // len(HARD)}",
        "guidance": str(evaluation["guidance_scale"]),
        "tasks": table(("task", "target", "measured", ""), task_rows(evaluation)),
        "best": table(("choice among 8", "right by the oracle"), choices),
        "gain": points(best["clip gain"]),
        "gain_met": "met" if gain >= 8 else f"missed by {8 - gain:.1f} points",
        "judge_gain": points(best["judge gain"]),
        "ceiling_gain": f"{100 * (best['oracle']['mean'] - best['mean']['mean']):+.1f}",
        "weighting": table(weight_head, weights),
        "measured_on": f"{evaluation['hardware']}, torch {evaluation['torch']}, {evaluation['minutes']} minutes",
    }


def clip_section(evaluation: Json, openmoji: Json) -> dict[str, str]:
    """What the two CLIPs recognise."""
    labels = {"clip": "`clip/`", "judge": "`../judge`"}
    measures = ("zero_shot_top1", "caption_to_image_recall1", "image_to_caption_recall1")
    clips = evaluation["clips"]
    rows = [
        (label, *(percent(clips[key][measure]) for measure in measures))
        for key, label in labels.items()
    ]
    head = ("CLIP", "zero-shot top-1", "caption to image R@1", "image to caption R@1")
    elsewhere = [
        f"{label} {percent(openmoji[key]['openmoji']['top1'])}" for key, label in labels.items()
    ]
    return {
        "clips": table(head, rows),
        "recall_scenes": f"{clips['clip']['caption_to_image_recall1']['prompts']:,}",
        "recall_target": f"{100 * RECALL_TARGETS[evaluation['preset']]:.0f} %",
        "openmoji": ", ".join(elsewhere),
    }


def oracle_section(oracle: Json) -> dict[str, str]:
    """How strict the oracle is."""
    read = [(damage, f"{100 * share:.2f} %") for damage, share in oracle["read_back"].items()]
    false = [
        (kind, f"{found['accepted']} of {found['tried']}")
        for kind, found in oracle["false_accepts"].items()
    ]
    return {
        "read_back": table(("damage", "read back exactly"), read),
        "false": table(("near miss", "accepted"), false),
        "false_rate": f"{100 * oracle['false_accept_rate']:.2f} %",
        "oracle_count": f"{oracle['count']:,}",
        "pixels": f"{oracle['pixels']} px",
    }


def speed_section(speed: Json) -> dict[str, str]:
    """How long the main job takes."""
    return {
        "speed": "{seconds} s, of which {sampling_seconds} s are sampling, and {peak_mb} MB".format_map(
            speed
        ),
        "speed_on": f"{speed['hardware']}, torch {speed['torch']}",
    }


def card(
    *, recipe: Json, plan: Json, oracle: Json, evaluation: Json, openmoji: Json, speed: Json
) -> str:
    """The whole card."""
    values = world(evaluation["preset"]) | {"parts": parts()} | recipe_section(recipe, plan)
    values |= evaluation_section(evaluation) | clip_section(evaluation, openmoji)
    values |= oracle_section(oracle) | speed_section(speed)
    return (TEMPLATES / "card.md").read_text().format_map(values)


def main() -> None:
    """Write the card."""
    measured = {name: json.loads((WEIGHTS / f"{name}.json").read_text()) for name in MEASURED}
    (WEIGHTS / "emoji" / "README.md").write_text(card(**measured))


if __name__ == "__main__":
    main()
