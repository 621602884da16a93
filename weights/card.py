"""Write the model card, `weights/emoji/README.md`, from measurements: no figure in it is typed by hand.

python -m weights.card          # reads weights/{recipe,oracle,evaluation,openmoji,speed}.json
"""

import json
from pathlib import Path
from typing import Any

from safetensors import safe_open

WEIGHTS = Path(__file__).parent
TARGETS = {
    "single object": 0.90,
    "colors": 0.90,
    "background": 0.97,
    "two objects": 0.70,
    "counting": 0.70,
    "position": 0.55,
    "color attribution": 0.55,
}


def percent(found: dict[str, float]) -> str:
    """A mean with its 95 % interval."""
    return f"{100 * found['mean']:.1f} % ({100 * found['low']:.1f} to {100 * found['high']:.1f})"


def points(found: dict[str, float]) -> str:
    """A difference in percentage points with its 95 % interval."""
    return f"{100 * found['mean']:+.1f} points ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


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


def task_rows(evaluation: dict[str, Any]) -> list[tuple[str, ...]]:
    """Measured against target."""
    rows = []
    for name, target in TARGETS.items():
        found = evaluation["tasks"][name]
        miss = 100 * (target - found["mean"])
        rows.append(
            (
                name,
                f"{100 * target:.0f} %",
                percent(found),
                "met" if miss <= 0 else f"missed by {miss:.1f}",
            )
        )
    return rows


def card(
    *,
    recipe: dict[str, Any],
    oracle: dict[str, Any],
    evaluation: dict[str, Any],
    openmoji: dict[str, Any],
    speed: dict[str, Any],
) -> str:
    """The whole card."""
    best, clips = evaluation["best_of_8"], evaluation["clips"]
    names = ("unet", "text_encoder", "vae", "clip")
    parts = [
        (f"`{name}/`", f"{parameters(WEIGHTS / 'emoji' / name) / 1e6:.2f} M") for name in names
    ]
    parts.append(("`../judge/`", f"{parameters(WEIGHTS / 'judge') / 1e6:.2f} M"))
    stages = [
        (s["stage"], f"{s['minutes']:.0f}", f"{s['samples']:,}", s["what"])
        for s in recipe["stages"]
    ]
    clip_rows = [
        (
            name,
            percent(clips[key]["zero_shot_top1"]),
            percent(clips[key]["caption_to_image_recall1"]),
            percent(clips[key]["image_to_caption_recall1"]),
        )
        for key, name in (("clip", "`clip/`"), ("judge", "`../judge`"))
    ]
    weights = [
        (weight, percent(found["weighted"]), percent(found["other"]))
        for weight, found in evaluation["weighting"].items()
    ]
    false = [
        (kind, f"{found['accepted']} of {found['tried']}")
        for kind, found in oracle["false_accepts"].items()
    ]
    gain = 100 * best["clip gain"]["mean"]
    text = (WEIGHTS / "card.template.md").read_text()
    return text.format(
        parts=table(("part", "parameters"), parts),
        stages=table(("stage", "minutes", "samples", "what"), stages),
        hardware=recipe["hardware"],
        notes=recipe["notes"],
        tasks=table(("task", "target", "measured", ""), task_rows(evaluation)),
        best=table(
            ("choice among 8", "right by the oracle"),
            [
                ("any one (mean)", percent(best["mean"])),
                ("best by `clip/` (conditioned the pictures: circular)", percent(best["clip"])),
                ("best by `../judge` (another seed)", percent(best["judge"])),
                ("best by the oracle (the ceiling)", percent(best["oracle"])),
            ],
        ),
        gain=points(best["clip gain"]),
        gain_met="met" if gain >= 8 else f"missed by {8 - gain:.1f} points",
        judge_gain=points(best["judge gain"]),
        clips=table(
            ("CLIP", "zero-shot top-1", "caption to image R@1", "image to caption R@1"), clip_rows
        ),
        openmoji=", ".join(
            f"{label} {percent(openmoji[key]['openmoji']['top1'])}"
            for key, label in (("clip", "`clip/`"), ("judge", "`../judge`"))
        ),
        weighting=table(
            ("weight", "the weighted object is found", "the other one is found"), weights
        ),
        read_back=table(
            ("damage", "read back exactly"),
            [(k, f"{100 * v:.2f} %") for k, v in oracle["read_back"].items()],
        ),
        false=table(("near miss", "accepted"), false),
        false_rate=f"{100 * oracle['false_accept_rate']:.2f} %",
        oracle_count=f"{oracle['count']:,}",
        steps=evaluation["steps"],
        guidance=evaluation["guidance_scale"],
        speed="{seconds} s, of which {sampling_seconds} s are sampling, and {peak_mb} MB".format_map(
            speed
        ),
        speed_on=f"{speed['hardware']}, torch {speed['torch']}",
        measured_on=f"{evaluation['hardware']}, torch {evaluation['torch']}, {evaluation['minutes']} minutes",
    )


def main() -> None:
    """Write the card."""
    measured = {
        name: json.loads((WEIGHTS / f"{name}.json").read_text())
        for name in ("recipe", "oracle", "evaluation", "openmoji", "speed")
    }
    (WEIGHTS / "emoji" / "README.md").write_text(card(**measured))


if __name__ == "__main__":
    main()
