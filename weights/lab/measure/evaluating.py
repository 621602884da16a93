"""Does CLIP rank settings as the truth does? Guidance and steps of the shipped model, judged by two CLIPs and the oracle.

    python -m weights.lab.measure.evaluating --out out/sweep      # draws 14,400 pictures: about half an hour on two cores
    python -m weights.lab.measure.evaluating --page-only          # the page and the plot again, from the JSON

The drawing is `clipcond.evaluate`, so that it goes on in the same folder when it was interrupted. Writes
weights/evaluating.json, docs/evaluating.md (from weights/lab/templates/evaluating.md), docs/evaluating.png, and a screenshot of the
report, OUT/report.html (needs Debian's chromium). The prompts are held out; nothing is chosen by what is found here.
"""

import argparse
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright
from scipy.stats import spearmanr

from clipcond.bulk import find_engine
from clipcond.evaluation import Evaluation, Setting, evaluate
from clipcond.evaluation.comparing import ALL
from clipcond.evaluation.record import compare
from demos.screenshots import CHROMIUM
from weights.lab.reports import ROOT, TEMPLATES, Json, page_options, panels, publish, table

STEPS = (5, 10, 20, 40)
GUIDANCE = (1.0, 2.0, 3.0, 4.0, 5.0, 7.0)
CLIPS = ("emoji", "judge")
BENCHMARK = ROOT / "benchmarks" / "evaluating.json"
PARTS = ("all", "better half")
ORACLE = "oracle"
NAMES = {"emoji": "the model's own CLIP", "judge": "the judge", "oracle": "the oracle"}


def settings() -> list[Setting]:
    """All of them."""
    return [Setting(steps=steps, guidance_scale=scale) for steps in STEPS for scale in GUIDANCE]


def drawn(args: argparse.Namespace) -> Evaluation:
    """Every held-out prompt, once by every setting."""
    return evaluate(
        settings(),
        "emoji",
        scorers=[*CLIPS, ORACLE],
        out=args.out,
        seeds=1,
        batch_size=args.batch_size,
        engine=find_engine(workers=args.workers),
    )


def ranks(evaluation: Evaluation) -> Json:
    """Rank correlation of each CLIP's means with the oracle's: over all settings, over the better half, by category."""
    found: Json = {}
    standings = evaluation.standings
    means = {(s.scorer, s.category, s.model): s.mean for s in standings}
    for category in dict.fromkeys(s.category for s in standings):
        truth = {m: means[ORACLE, category, m] for m in evaluation.models}
        best = sorted(truth, key=lambda m: -truth[m])[: len(truth) // 2]
        for clip in CLIPS:
            for name, models in (("all", list(truth)), ("better half", best)):
                own = [means[clip, category, m] for m in models]
                rho = spearmanr(own, [truth[m] for m in models]).statistic
                found.setdefault(clip, {}).setdefault(name, {})[category] = float(rho)
    return found


def verdicts(evaluation: Evaluation) -> Json:
    """Of all pairs of settings: what each CLIP says where the oracle decides, and where it does not."""
    said: dict[tuple[str, str, str], int] = {}
    for each in compare([evaluation]):
        if each.category == ALL:
            decided = 0 if each.p_holm >= 0.05 else int(np.sign(each.difference))
            said[each.scorer, each.first, each.second] = decided
    couples = [(a, b) for scorer, a, b in said if scorer == ORACLE]
    found: Json = {"pairs": len(couples)}
    for clip in CLIPS:
        counts = dict.fromkeys(
            ("agrees", "cannot tell", "opposite", "both cannot tell", "alone"), 0
        )
        for a, b in couples:
            truth, own = said[ORACLE, a, b], said[clip, a, b]
            if truth == 0:
                counts["alone" if own else "both cannot tell"] += 1
            else:
                counts["cannot tell" if own == 0 else "agrees" if own == truth else "opposite"] += 1
        found[clip] = counts
    return found


def picture_by_picture(evaluation: Evaluation) -> Json:
    """Two pictures of one prompt, one right and one wrong: how often a CLIP scores the right one higher.

    Of all settings, and of the better half, whose wrong pictures are less plainly wrong.
    """
    table = evaluation.table
    order = table.groupby("model").oracle.mean().sort_values(ascending=False).index
    parts = {"all": table, "better half": table[table.model.isin(order[: len(order) // 2])]}
    found: Json = {}
    for clip in CLIPS:
        for part, frame in parts.items():
            shares: dict[str, list[float]] = {}
            for _, own in frame.groupby("prompt"):
                right, wrong = (own[own.oracle == verdict][clip].to_numpy() for verdict in (1, 0))
                if len(right) and len(wrong):
                    share = float((right[:, None] > wrong[None]).mean())
                    shares.setdefault(own.category.iloc[0], []).append(share)
            means = {task: float(np.mean(own)) for task, own in shares.items()}
            every = [share for own in shares.values() for share in own]
            found.setdefault(clip, {})[part] = means | {ALL: float(np.mean(every))}
    return found


def photograph(page: Path, file: Path) -> None:
    """The report's top as on a desk, and as on a phone in the dark."""
    shots = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in ((1240, "light"), (390, "dark")):
            options: dict[str, Any] = {"color_scheme": scheme}
            view = browser.new_page(viewport={"width": width, "height": 1500}, **options)
            view.goto(page.absolute().as_uri())
            shots.append(Image.open(BytesIO(view.screenshot())).convert("RGB"))
        browser.close()
    both = Image.new("RGB", (sum(shot.width for shot in shots) + 40, 1500), "#c9c9c4")
    both.paste(shots[0], (0, 0))
    both.paste(shots[1], (shots[0].width + 40, 0))
    both.quantize(256).save(file, optimize=True)


def measure(args: argparse.Namespace) -> Json:
    """Draw, and ask."""
    evaluation = drawn(args)
    report = evaluation.report(args.out / "report.html")
    photograph(report, args.docs / "img" / "evaluating-report.png")
    means: Json = {}
    for each in evaluation.standings:
        if each.category == ALL:
            means.setdefault(each.model, {})[each.scorer] = [each.mean, each.low, each.high]
    return {
        "pictures": evaluation.about["pictures"],
        "prompts": evaluation.standings[0].prompts,
        "settings": [[s.steps, s.guidance_scale, s.label] for s in settings()],
        "means": means,
        "ranks": ranks(evaluation),
        "verdicts": verdicts(evaluation),
        "picture_by_picture": picture_by_picture(evaluation),
    }


def _means(report: Json, scorer: str, form: str, factor: int = 1) -> str:
    """Guidance in rows, steps in columns."""
    label = {(steps, scale): name for steps, scale, name in report["settings"]}
    rows = [
        (f"{scale:g}", *(form.format(factor * report["means"][label[steps, scale]][scorer][0]) for steps in STEPS))
        for scale in GUIDANCE
    ]  # fmt: skip
    return table(("guidance", *(f"{steps} steps" for steps in STEPS)), rows)


def page(report: Json) -> str:
    """docs/evaluating.md."""
    tasks = [name for name in report["picture_by_picture"]["judge"]["all"] if name != ALL]
    rows: list[tuple[Any, ...]] = [
        (
            name,
            *(f"{report['ranks']['judge'][part][name]:.2f}" for part in PARTS),
            *(f"{100 * report['picture_by_picture']['judge'][part][name]:.0f} %" for part in PARTS),
        )
        for name in (ALL, *tasks)
    ]
    counts = report["verdicts"]
    decided = sum(counts["judge"][name] for name in ("agrees", "cannot tell", "opposite"))
    return (TEMPLATES / "evaluating.md").read_text().format(
        pictures=f"{report['pictures']:,}",
        prompts=report["prompts"],
        oracle=_means(report, ORACLE, "{:.1f} %", 100),
        judge=_means(report, "judge", "{:.4f}"),
        ranks=table(("prompts", "rank of settings", "of the better half", "right over wrong", "of the better half"), rows),
        own_rank=f"{report['ranks']['emoji']['all'][ALL]:.2f}",
        own_half=f"{report['ranks']['emoji']['better half'][ALL]:.2f}",
        pairs=counts["pairs"],
        decided=decided,
        undecided=counts["pairs"] - decided,
        **{f"{clip}_{name.replace(' ', '_')}": n for clip in CLIPS for name, n in counts[clip].items()},
        hardware=report["hardware"],
        **_scale(json.loads(BENCHMARK.read_text())),
    )  # fmt: skip


def _scale(bench: Json) -> dict[str, str]:
    """What benchmarks/evaluating.py found, for the page."""
    small, large = (int(name.split()[0]) for name in bench if name.endswith(" pairs"))
    ray, local = (bench[f"two workers, {name}"]["seconds"] for name in ("ray", "local"))
    return {
        "small_pairs": f"{small:,}",
        "large_pairs": f"{large:,}",
        "small_peak": str(bench[f"{small} pairs"]["peak_mb"]),
        "large_peak": str(bench[f"{large} pairs"]["peak_mb"]),
        "outside": f"{100 * bench['ViT-B/32']['outside_forwards']:.0f}",
        "ours": str(bench["ViT-B/32"]["pictures_a_second"]),
        "theirs": str(bench["ViT-B/32 torchmetrics"]["pictures_a_second"]),
        "ray": f"{ray - local:.0f}",
        "bench_hardware": bench["hardware"],
    }


def plot(report: Json, file: Path) -> None:
    """Each setting by a CLIP's mean and by the oracle's; and the better ones larger."""
    with panels(file, 1, 2, figsize=(10, 4.2)) as axes:
        for clip, color in zip(CLIPS, ("#e8822a", "#3b7dd8"), strict=True):
            points = np.array([[own[ORACLE][0], own[clip][0]] for own in report["means"].values()])
            for each in axes:
                each.plot(
                    100 * points[:, 0],
                    points[:, 1],
                    "o",
                    color=color,
                    label=NAMES[clip],
                    alpha=0.75,
                )
        for each in axes:
            each.set_xlabel("pictures that show what was asked, to the oracle (%)")
            each.set_ylabel("mean CLIP score")
            each.spines[["top", "right"]].set_visible(False)
        axes[0].legend(frameon=False)
        axes[0].set_title("24 settings of guidance and steps", fontsize=10)
        axes[1].set_title("the better ones", fontsize=10)
        axes[1].set_xlim(92, 98.6)
        axes[1].set_ylim(0.776, 0.797)


def main() -> None:
    """Draw, measure, write."""
    parser = page_options(__doc__, "evaluating")
    parser.add_argument(
        "--out", type=Path, default=Path("out/sweep"), help="folder of the evaluation"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes")
    args = parser.parse_args()
    publish(args, "evaluating", measure=lambda: measure(args), page=page, plot=plot)


if __name__ == "__main__":
    main()
