"""The work of `clipcond generate`: output folder first, then models, pictures, scores, files, table."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from clipcond import emoji
from clipcond.cli.arguments import ClipRequest
from clipcond.cli.generate import Request
from clipcond.cli.heating import overlays
from clipcond.cli.loading import load_scorer
from clipcond.cli.terminal import expanded, hush_loading, note, write_json, write_table
from clipcond.conditioning import Conditioner
from clipcond.errors import ClipcondError
from clipcond.gallery.folder import staged
from clipcond.gallery.save import Saved, save_generation
from clipcond.generation import Generation, check_request, generate, looks
from clipcond.hooks.guiding import guidance
from clipcond.hooks.maps import attention_maps
from clipcond.hooks.region import Region, read_regions
from clipcond.models import is_emoji, load_pipeline, locate, own_scorer, pick_device
from clipcond.prompt import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the pictures are to show.

    Attributes:
        text: the prompt.
        negative: what to steer away from.
        regions: what stands in places.
    """

    text: str
    negative: str | None
    regions: tuple[Region, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What came of it.

    Attributes:
        generation: the pictures.
        shipped: whether the shipped model made them.
        attention: for each word that was asked for, a map over each picture.
    """

    generation: Generation
    shipped: bool
    attention: dict[str, list[Image.Image]]


def run(request: Request) -> int:
    """Draw, rank, write, report."""
    keep = request.candidates if request.keep is None else request.keep
    batch_size = request.batch_size or request.candidates
    check_request(
        candidates=request.candidates, keep=keep, seed=request.seed, batch_size=batch_size
    )
    asked = _asked(request)
    out = request.out
    with staged(out) as stage:  # refuses a folder that cannot be written before anything is sampled
        drawn = _generate(request, asked, keep=keep, batch_size=batch_size)
        generation = drawn.generation
        verdicts = oracle_verdicts(generation) if drawn.shipped else []
        marks = [(bool(verdict), _in_words(verdict)) for verdict in verdicts]
        saved = save_generation(
            generation, stage, folder=out, marks=marks, attention=drawn.attention
        )
    report(generation, verdicts, saved, out=out, json=request.json)
    return 0


def _asked(request: Request) -> Asked:
    """Texts with what they leave open chosen, and a note on whatever looks like a mistake."""
    negative = request.negative and expanded(request.negative, request.wildcards, request.seed)
    asked = Asked(
        text=expanded(request.text, request.wildcards, request.seed),
        negative=negative,
        regions=read_regions(request.regions) if request.regions else (),
    )
    prompts = {"prompt": asked.text} | {
        f"region {number}": region.prompt for number, region in enumerate(asked.regions, start=1)
    }
    for name, text in prompts.items():
        for diagnostic in parse(text, dialect=request.dialect).diagnostics:
            note(f"{name}: {diagnostic.message}")
    said = " ".join(prompts.values()).casefold()
    for word in request.attention or ():
        if not all(part in said for part in word.casefold().split()):
            raise ClipcondError(f"--attention: {word!r} is in no prompt; name words of {said!r}")
    return asked


def _generate(request: Request, asked: Asked, *, keep: int, batch_size: int) -> Drawn:
    location = locate(request.model)
    shipped = is_emoji(location)
    device = pick_device(request.device)
    dtype = request.dtype or ("float32" if device.type == "cpu" else "float16")
    ranking = ClipRequest(scorer=request.scorer or own_scorer(location), device=request.device)
    scorer = load_scorer(ranking)
    hush_loading("diffusers")
    pipe = load_pipeline(location, device=device, dtype=getattr(torch, dtype))
    pipe.set_progress_bar_config(disable=None, leave=False)
    conditioner = Conditioner.from_pipeline(
        pipe,
        dialect=request.dialect,
        weighting=request.weighting,
        long_prompt=request.long_prompt,
    )
    if request.attention:
        with attention_maps(pipe):
            pass  # refuses a pipeline that has none before anything is sampled
    interval, sampling = request.guidance_interval, _sampling(request, shipped=shipped)
    with guidance(pipe, interval=interval) if interval else nullcontext():
        generation = generate(
            pipe,
            asked.text,
            negative_prompt=asked.negative,
            conditioner=conditioner,
            scorer=scorer,
            candidates=request.candidates,
            keep=keep,
            seed=request.seed,
            batch_size=batch_size,
            regions=asked.regions,
            **sampling,
        )
        attention = {}
        if request.attention:
            conditioning = conditioner(
                asked.text,
                negative_prompt=asked.negative,
                steps=looks(pipe, sampling),
                regions=asked.regions,
            )
            seeds = generation.seeds
            attention = overlays(
                pipe, conditioning, request.attention, seeds, batch_size=batch_size, **sampling
            )
    return Drawn(generation=generation, shipped=shipped, attention=attention)


def _sampling(request: Request, *, shipped: bool) -> dict[str, Any]:
    """Steps and guidance: as typed, else the shipped model's best, else left to the pipeline."""
    typed = {
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance_scale,
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
        return list(emoji.verdicts(generation.images, generation.provenance["scored_text"]))
    except ClipcondError as error:
        note(f"no oracle verdict: {str(error).splitlines()[0]}")
        return []


def _in_words(verdict: emoji.Verdict) -> str:
    return "as asked" if verdict else "missed: " + ", ".join(map(str, verdict.missed))


def report(
    generation: Generation,
    verdicts: Sequence[emoji.Verdict],
    saved: Saved,
    *,
    out: Path,
    json: bool,
) -> None:
    """Print the table or the JSON object, and what one should know about the scores."""
    provenance = generation.provenance
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
    if json:
        write_json(_as_json(generation, verdicts, saved, out))
        return
    scores = generation.scores.tolist()
    rows = [
        [str(i + 1), str(seed), f"{scores[i]:.4f}", saved.pictures[i]]
        for i, seed in enumerate(generation.seeds)
    ]
    if verdicts:
        for row, verdict in zip(rows, verdicts, strict=True):
            row.insert(3, ("✓ " if verdict else "✗ ") + _in_words(verdict))
    oracle = ["oracle"] if verdicts else []
    write_table(["rank", "seed", "CLIP score", *oracle, "file"], rows)
    for word, files in saved.attention.items():
        note(f"where they look at {word!r}: {', '.join(files)}")
    note(f"{saved.grid} shows them all; written to {out}")


def _as_json(
    generation: Generation, verdicts: Sequence[emoji.Verdict], saved: Saved, out: Path
) -> dict[str, Any]:
    """For machines: pictures in rank order, each with its file, the oracle's verdict and its maps, if there are any."""
    scores = generation.scores.tolist()
    pictures: list[dict[str, Any]] = [
        {"rank": i + 1, "seed": seed, "score": scores[i], "file": str(out / saved.pictures[i])}
        for i, seed in enumerate(generation.seeds)
    ]
    for picture, verdict in zip(pictures, verdicts, strict=False):
        picture["oracle"] = {
            "passed": bool(verdict),
            "items": [[str(requirement), passed] for requirement, passed in verdict.items],
        }
    for word, files in saved.attention.items():
        for picture, file in zip(pictures, files, strict=True):
            picture.setdefault("attention", {})[word] = str(out / file)
    return {
        "grid": str(out / saved.grid),
        "pictures": pictures,
        "provenance": generation.provenance,
    }
