"""`clipcond generate`: the main job. Output folder first, then models, pictures, scores, files, table."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from clipcond import emoji
from clipcond.cli.language import expanded
from clipcond.cli.models import (
    is_emoji,
    load_pipeline,
    load_scorer,
    locate,
    own_scorer,
    pick_device,
)
from clipcond.cli.terminal import note, write_json, write_table
from clipcond.conditioning import Conditioner
from clipcond.errors import ClipcondError
from clipcond.gallery.folder import staged
from clipcond.gallery.save import Saved, save_generation
from clipcond.generation import Generation, check_request, generate
from clipcond.prompt import parse


def run(arguments: argparse.Namespace) -> int:
    """Draw, rank, write, report."""
    keep = arguments.candidates if arguments.keep is None else arguments.keep
    batch_size = arguments.batch_size or arguments.candidates
    check_request(
        candidates=arguments.candidates, keep=keep, seed=arguments.seed, batch_size=batch_size
    )
    arguments.text = expanded(arguments.text, arguments)
    arguments.negative = arguments.negative and expanded(arguments.negative, arguments)
    for diagnostic in parse(arguments.text, dialect=arguments.dialect).diagnostics:
        note(f"prompt: {diagnostic.message}")
    out = Path(arguments.out)
    with staged(out) as stage:  # refuses a folder that cannot be written before anything is sampled
        generation, shipped = _generate(arguments, keep, batch_size)
        verdicts = oracle_verdicts(generation) if shipped else []
        marks = [(bool(verdict), _in_words(verdict)) for verdict in verdicts]
        saved = save_generation(generation, stage, folder=out, marks=marks)
    report(generation, verdicts, saved, arguments)
    return 0


def _generate(arguments: argparse.Namespace, keep: int, batch_size: int) -> tuple[Generation, bool]:
    """The pictures, and whether the shipped model made them."""
    location = locate(arguments.model)
    shipped = is_emoji(location)
    device = pick_device(arguments.device)
    dtype = arguments.dtype or ("float32" if device.type == "cpu" else "float16")
    scorer = load_scorer(arguments.scorer or own_scorer(location), device)
    pipe = load_pipeline(location, device=device, dtype=getattr(torch, dtype))
    pipe.set_progress_bar_config(disable=None, leave=False)
    conditioner = Conditioner.from_pipeline(
        pipe,
        dialect=arguments.dialect,
        weighting=arguments.weighting,
        long_prompt=arguments.long_prompt,
    )
    generation = generate(
        pipe,
        arguments.text,
        negative_prompt=arguments.negative,
        conditioner=conditioner,
        scorer=scorer,
        candidates=arguments.candidates,
        keep=keep,
        seed=arguments.seed,
        batch_size=batch_size,
        **_sampling(arguments, shipped=shipped),
    )
    return generation, shipped


def _sampling(arguments: argparse.Namespace, *, shipped: bool) -> dict[str, Any]:
    """Steps and guidance: as typed, else the shipped model's best, else left to the pipeline."""
    typed = {
        "num_inference_steps": arguments.steps,
        "guidance_scale": arguments.guidance_scale,
    }
    default = {
        "num_inference_steps": emoji.DEFAULT_STEPS,
        "guidance_scale": emoji.DEFAULT_GUIDANCE_SCALE,
    }
    given = {name: value for name, value in typed.items() if value is not None}
    return {**default, **given} if shipped else given


def oracle_verdicts(generation: Generation) -> list[emoji.Verdict]:
    """What the oracle says of each picture; none, and a note why, when the text is not of its world."""
    try:
        requirements = emoji.expected(generation.provenance["scored_text"])
    except ClipcondError as error:
        note(f"no oracle verdict: {str(error).splitlines()[0]}")
        return []
    return [emoji.check(image, requirements) for image in generation.images]


def _in_words(verdict: emoji.Verdict) -> str:
    return "as asked" if verdict else "missed: " + ", ".join(map(str, verdict.missed))


def report(
    generation: Generation,
    verdicts: Sequence[emoji.Verdict],
    saved: Saved,
    arguments: argparse.Namespace,
) -> None:
    """Print the table or the JSON object, and what one should know about the scores."""
    out, provenance = Path(arguments.out), generation.provenance
    scores = generation.scores.tolist()
    if provenance["circular"]:
        note(
            "the CLIP that ranks is the one that conditioned the pictures (circular): it flatters its scores"
        )
    if provenance["prompt_windows"] > 1:
        note(f"the prompt fills {provenance['prompt_windows']} windows of the text encoder")
    if provenance["scored_text_truncated"]:
        note(
            "the prompt is longer than CLIP reads: all of it conditions the pictures, but its end does not count in the score"
        )
    if arguments.json:
        pictures = [
            {"rank": i + 1, "seed": seed, "score": scores[i], "file": str(out / saved.pictures[i])}
            for i, seed in enumerate(generation.seeds)
        ]
        for picture, verdict in zip(pictures, verdicts, strict=False):
            picture["oracle"] = {
                "passed": bool(verdict),
                "items": [[str(requirement), passed] for requirement, passed in verdict.items],
            }
        write_json({"grid": str(out / saved.grid), "pictures": pictures, "provenance": provenance})
        return
    rows = [
        [str(i + 1), str(seed), f"{scores[i]:.4f}", saved.pictures[i]]
        for i, seed in enumerate(generation.seeds)
    ]
    if verdicts:
        for row, verdict in zip(rows, verdicts, strict=True):
            row.insert(3, ("✓ " if verdict else "✗ ") + _in_words(verdict))
    oracle = ["oracle"] if verdicts else []
    write_table(["rank", "seed", "CLIP score", *oracle, "file"], rows)
    note(f"{saved.grid} shows them all; written to {out}")
