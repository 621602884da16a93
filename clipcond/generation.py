"""One prompt to several candidate pictures, scored and ranked: where both halves of the library meet.

The spine is `generate`: check, condition once, sample in batches, rerank in memory. What prompts say over the steps and in
places they say here too.
"""

import hashlib
import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from tqdm.auto import tqdm

import clipcond
from clipcond.conditioning import Conditioner
from clipcond.conditioning.telling import where_is
from clipcond.errors import CircularScoreWarning, ClipcondError
from clipcond.hooks.region import Region
from clipcond.hooks.session import session_of
from clipcond.identity import same_weights
from clipcond.prompt import parse
from clipcond.prompt.states import LONGEST
from clipcond.score import Ranking, Scorer, rerank
from clipcond.score.showing import Ranked

_OURS = (
    "prompt", "prompt_embeds", "generator", "num_images_per_prompt", "output_type", "return_dict",
)  # fmt: skip
_ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")
_MAX_SEED = 2**63
Tensors = dict[str, Any]  # what a pipeline hands its callback
_CIRCULAR = (
    "the scorer's text tower is the one that conditioned the pictures: scores rank them, but flatter them; "
    "measure quality with another CLIP"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation(Ranked):
    """The best candidates of one prompt, best first; images, seeds, scores and order go together. A notebook shows them.

    Attributes:
        images: PIL pictures.
        seeds: the seed of each.
        scores: the score of each, falling.
        order: the candidate number of each; its seed is the first seed plus this.
        candidate_scores: the score of every candidate, in candidate order.
        provenance: prompt, settings, model and how the scores were made; JSON-able.
    """

    images: tuple[Image.Image, ...]
    seeds: tuple[int, ...]
    scores: Float[torch.Tensor, " kept"]
    order: tuple[int, ...]
    candidate_scores: Float[torch.Tensor, " candidates"]
    provenance: dict[str, Any] = field(repr=False)


def generate(
    pipe: Any,
    prompt: str,
    *,
    negative_prompt: str | None = None,
    conditioner: Conditioner | None = None,
    scorer: Scorer,
    candidates: int = 8,
    keep: int = 4,
    seed: int = 0,
    batch_size: int | None = None,
    regions: Sequence[Region] = (),
    **pipe_kwargs: Any,
) -> Generation:
    """Draw several pictures of one prompt and keep those that match it best.

    Candidate i starts from torch.Generator("cpu") seeded with seed + i, so it is the same picture at any
    `batch_size` and can be drawn again alone. The prompt is encoded once; scores are against its plain text: what it says at
    the last step, together with what the regions say. `clipcond.guidance` acts here as in any call of the pipeline.

    Args:
        pipe: a diffusers pipeline.
        prompt: in the conditioner's dialect.
        negative_prompt: what to steer away from; None follows the pipeline.
        conditioner: None makes one for `pipe` with its defaults.
        scorer: ranks the candidates.
        candidates: how many to draw.
        keep: how many to return.
        seed: of the first candidate.
        batch_size: candidates a denoiser call; None draws all at once.
        regions: what stands in places of the picture.
        **pipe_kwargs: for the pipeline, e.g. num_inference_steps, guidance_scale, height, width.

    Raises:
        ClipcondError: a number that makes no sense, found before any work.
        ScoreError: a candidate that cannot be scored.

    Warns:
        CircularScoreWarning: scorer and pipeline share their text tower; provenance records it too.
    """
    batch = candidates if batch_size is None else batch_size
    check_request(candidates=candidates, keep=keep, seed=seed, batch_size=batch, **pipe_kwargs)
    if circular := is_circular(pipe, scorer):
        warnings.warn(_CIRCULAR, CircularScoreWarning, stacklevel=2)
    conditioner = conditioner or Conditioner.from_pipeline(pipe)
    steps = looks(pipe, pipe_kwargs)
    conditioning = conditioner(
        prompt, negative_prompt=negative_prompt, steps=steps, regions=regions
    )
    seeds = range(seed, seed + candidates)
    with conditioning.attached(pipe):
        images = draw(
            pipe,
            lambda part: conditioning.kwargs_for(pipe, num_images_per_prompt=len(seeds[part])),
            seeds,
            batch_size=batch,
            **pipe_kwargs,
        )
    text = _scored_text(prompt, regions, conditioner.dialect, steps)
    ranking = rerank(images, text, scorer)
    provenance = {
        "prompt": prompt,
        "prompt_windows": max(seen.chunks for seen in conditioning.report.prompts),
        "negative_prompt": negative_prompt,
        "scored_text": text,
        "scored_text_truncated": ranking.truncated,
        "circular": circular,
        "seed": seed,
        "candidates": candidates,
        **conditions(pipe, conditioner, prompt, negative_prompt, regions=regions, **pipe_kwargs),
        "scorer": ranking.provenance,
    }
    return _best(images, seeds, ranking, keep, provenance=provenance)


def _scored_text(prompt: str, regions: Sequence[Region], dialect: str, steps: int | None) -> str:
    """What the prompt and its regions say last."""
    asked = [prompt, *(region.prompt for region in regions if region.weight > 0)]
    said = [plain_text(each, dialect, steps or LONGEST) for each in asked]
    return " ".join(filter(None, said))


def _best(
    images: Sequence[Image.Image],
    seeds: Sequence[int],
    ranking: Ranking,
    keep: int,
    *,
    provenance: dict[str, Any],
) -> Generation:
    """The first of a ranking."""
    return Generation(
        images=tuple(images[i] for i in ranking.order[:keep]),
        seeds=tuple(seeds[i] for i in ranking.order[:keep]),
        scores=ranking.scores[:keep],
        order=ranking.order[:keep],
        candidate_scores=ranking.scores[torch.tensor(ranking.order).argsort()],
        provenance=provenance,
    )


def check_request(
    *, candidates: int, keep: int, seed: int, batch_size: int, **pipe_kwargs: Any
) -> None:
    """Refuse numbers that make no sense, before any model runs.

    Raises:
        ClipcondError: naming the argument, quoting its value.
    """
    for name, value in (("candidates", candidates), ("keep", keep), ("batch_size", batch_size)):
        if value < 1:
            raise ClipcondError(f"{name}: got {value}; needs at least 1")
    if keep > candidates:
        raise ClipcondError(
            f"keep: got {keep}, more than the {candidates} candidates; keep fewer or draw more"
        )
    if not 0 <= seed <= _MAX_SEED - candidates:
        raise ClipcondError(f"seed: got {seed}; needs 0 to 2**63 less the number of candidates")
    for name, value in pipe_kwargs.items():
        if name in _OURS:
            raise ClipcondError(f"{name}: generate sets it itself; leave it out")
        if isinstance(value, float) and not math.isfinite(value):
            raise ClipcondError(f"{name}: got {value}; needs a finite number")
    steps = pipe_kwargs.get("num_inference_steps", 1)
    if steps < 1:
        raise ClipcondError(f"num_inference_steps: got {steps}; needs at least 1")


def plain_text(prompt: str, dialect: str, steps: int = LONGEST) -> str:
    """What a prompt says at its last step once its weights and breaks are taken out, white space in single blanks.

    Of several branches, what all of them say together, but for those of a weight of 0 or less: nothing of them is to be seen.

    Args:
        prompt: as typed.
        dialect: that it is written in.
        steps: of the run.
    """
    branches = parse(prompt, dialect=dialect).without_tags.branches
    segments = [
        segment
        for branch, weight in branches
        if weight > 0
        for segment in branch.segments(step=steps - 1, steps=steps)
    ]
    return " ".join(" ".join(s.text for s in segments if not s.is_break).split())


def is_circular(pipe: Any, scorer: Scorer) -> bool:
    """Whether the scorer's text tower has the weights of one of the pipeline's text encoders."""
    tower = getattr(scorer, "text_tower", None)
    encoders = (getattr(pipe, name, None) for name in _ENCODERS)
    return tower is not None and any(
        same_weights(encoder, tower) for encoder in encoders if encoder is not None
    )


def draw(
    pipe: Any,
    condition: Callable[[slice], Mapping[str, Any]],
    seeds: Sequence[int],
    *,
    batch_size: int,
    **pipe_kwargs: Any,
) -> list[Image.Image]:
    """One picture a seed, under one progress bar.

    Args:
        pipe: a diffusers pipeline.
        condition: part of the seeds -> what its pictures are to show, as `Conditioning.kwargs_for` gives it.
        seeds: each is the same noise on every device, at any batch size.
        batch_size: pictures a call of the pipeline.
        **pipe_kwargs: for the pipeline; `callback_on_step_end` may look at every step, and stop by an exception.
    """
    images: list[Image.Image] = []
    with _one_bar(pipe, len(seeds), pipe_kwargs) as with_progress:
        for start in range(0, len(seeds), batch_size):
            part = slice(start, start + batch_size)
            generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds[part]]
            inputs = {**condition(part), **with_progress(len(generators))}
            images += pipe(**inputs, generator=generators, output_type="pil").images
    return images


@contextmanager
def _one_bar(
    pipe: Any, candidates: int, pipe_kwargs: dict[str, Any]
) -> Iterator[Callable[[int], dict[str, Any]]]:
    """One bar over candidates x steps in place of diffusers' bar a batch, which stays where there is no callback.

    Yields:
        batch size -> what to call the pipeline with.
    """
    if "callback_on_step_end" not in inspect.signature(pipe.__call__).parameters:
        yield lambda _: pipe_kwargs
        return
    users = pipe_kwargs.get("callback_on_step_end")
    config = dict(getattr(pipe, "_progress_bar_config", {}))
    pipe.set_progress_bar_config(**{**config, "disable": True})
    try:
        with tqdm(**{"desc": f"{candidates} candidates", "unit": "step", **config}) as bar:

            def with_progress(batch_size: int) -> dict[str, Any]:
                def on_step_end(pipe: Any, step: int, timestep: Any, tensors: Tensors) -> Tensors:
                    bar.total = candidates * pipe.num_timesteps
                    bar.update(batch_size)
                    return users(pipe, step, timestep, tensors) if users else tensors

                return {**pipe_kwargs, "callback_on_step_end": on_step_end}

            yield with_progress
    finally:
        pipe.set_progress_bar_config(**config)


def looks(pipe: Any, pipe_kwargs: Mapping[str, Any]) -> int | None:
    """How often a run looks at its prompts; None where only the run will tell, which any number then serves."""
    steps = pipe_kwargs.get("num_inference_steps")
    if steps is None or {"timesteps", "sigmas", "strength"} & pipe_kwargs.keys():
        return None
    return int(steps) * (getattr(pipe.scheduler, "order", None) or 1)


def _schedules(
    dialect: str, steps: int | None, prompt: str, negative_prompt: str | None
) -> dict[str, Any]:
    """For provenance: (last step, text) of prompts that change over a known number of steps."""
    texts = {"schedule": prompt, "negative_schedule": negative_prompt or ""}
    prompts = {name: parse(text, dialect=dialect) for name, text in texts.items()}
    return {
        name: [list(row) for row in prompt.schedule(steps)]
        for name, prompt in prompts.items()
        if steps is not None and prompt.is_scheduled
    }


def _acting(pipe: Any, regions: Sequence[Region]) -> dict[str, Any]:
    """For provenance: what stands in places, and when the pipeline guides; nothing where it is as ever."""
    found: dict[str, Any] = {}
    if regions:
        found["regions"] = [{"prompt": r.prompt, "where": where_is(r)} for r in regions]
    session = session_of(pipe)
    if session is not None and session.guidance is not None:
        interval, scale = session.guidance.interval, session.guidance.scale
        found["guidance_interval"] = list(interval)
        if scale is not None:
            found["guidance_over_the_run"] = "a function" if callable(scale) else scale
    return found


def conditions(
    pipe: Any,
    conditioner: Conditioner,
    prompt: str,
    negative_prompt: str | None,
    *,
    regions: Sequence[Region] = (),
    **pipe_kwargs: Any,
) -> dict[str, Any]:
    """What pictures depend on besides prompt and seed, for provenance."""
    parameters = inspect.signature(pipe.__call__).parameters
    defaults = {
        name: parameters[name].default
        for name in ("num_inference_steps", "guidance_scale")
        if name in parameters
    }
    plain = {k: v for k, v in pipe_kwargs.items() if isinstance(v, int | float | str | bool)}
    pictures = {k: _digest(v) for k, v in pipe_kwargs.items() if isinstance(v, Image.Image)}
    name = str(getattr(pipe, "name_or_path", None) or type(pipe).__name__)
    return {
        "settings": {**defaults, **plain, **pictures},
        "model": Path(name).name if Path(name).exists() else name,
        "pipeline": type(pipe).__name__,
        "scheduler": type(pipe.scheduler).__name__,
        "dialect": conditioner.dialect,
        "weighting": conditioner.weighting,
        "clipcond": clipcond.__version__,
        **_acting(pipe, regions),
        **_schedules(conditioner.dialect, looks(pipe, pipe_kwargs), prompt, negative_prompt),
    }


def _digest(picture: Image.Image) -> str:
    return f"sha256 {hashlib.sha256(picture.tobytes()).hexdigest()} of {picture.size}"
