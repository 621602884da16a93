"""The loaded models, and what the tabs do with them. Knows no page."""

import threading
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from clipcond import emoji, generation
from clipcond.conditioning import Conditioner
from clipcond.errors import CheckpointError, CircularScoreWarning, ClipcondError
from clipcond.families.finding import call_arguments, required
from clipcond.generation import Generation, generate
from clipcond.models import is_emoji, load_pipeline, locate, own_scorer, pick_device
from clipcond.resources import model_folder
from clipcond.score import ClipScorer

from .null import CAPTIONS
from .settings import Settings
from .starting import Start, sibling
from .stream import Emit

_PREVIEW_SHARE = 0.15  # of the time, at most, goes into pictures of unfinished latents


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a drawing is.

    Attributes:
        done: share of all steps, 0..1.
        previews: the unfinished pictures of the batch under way; () where there is nothing new to see.
    """

    done: float
    previews: tuple[Image.Image, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A finished drawing.

    Attributes:
        settings: what was asked.
        generation: the pictures, best first.
        verdicts: the oracle's, one a picture; () where it cannot tell.
        silence: why the oracle is silent; "" where it is not.
        start: the picture that it started from, or None.
    """

    settings: Settings
    generation: Generation
    verdicts: tuple[emoji.Verdict, ...]
    silence: str
    start: Start | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """One pipeline and the CLIPs beside it.

    Attributes:
        pipe: a diffusers pipeline.
        scorers: name -> CLIP; the first one ranks, the second, if any, is shown beside it.
        conditioner: of the pipeline, with its default dialect and weighting.
        model: its name.
        shipped: whether the model is the emoji world's, of which the oracle knows the truth.
        batch_size: pictures at once.
        starting: the pipeline of the same parts that starts from a picture, or None.
        turn: held by who draws: what acts inside the pipeline would act on another's pictures too, and its scheduler is one.
    """

    pipe: Any
    scorers: dict[str, ClipScorer]
    conditioner: Conditioner
    model: str
    shipped: bool
    batch_size: int = 8
    starting: Any | None = None
    turn: threading.RLock = field(default_factory=threading.RLock, repr=False, compare=False)

    @property
    def scorer(self) -> ClipScorer:
        """The CLIP that ranks."""
        return next(iter(self.scorers.values()))

    @property
    def null(self) -> tuple[str, ...]:
        """Texts of other pictures, for calibration."""
        return world_prompts() if self.shipped else CAPTIONS

    @property
    def defaults(self) -> Settings:
        """What the page shows first."""
        if self.shipped:
            return Settings(prompt="a red heart to the left of a (fox:1.3)")
        return Settings(prompt="a (red:1.3) ball on grass", candidates=2, guidance=7.5, steps=25)

    def looks(self, steps: int) -> int:
        """How often so many steps look at the picture, which is what schedules count: twice a step of Heun's."""
        return steps * int(getattr(self.pipe.scheduler, "order", None) or 1)

    def read_as(self, dialect: str, weighting: str = "comfy") -> Conditioner:
        """The conditioner, reading another dialect or weighing otherwise."""
        options = replace(self.conditioner.options, dialect=dialect, weighting=weighting)
        return replace(self.conditioner, options=options)


def open_studio(
    model: str = "emoji",
    scorers: Sequence[str] = (),
    *,
    device: str | None = None,
    batch_size: int = 8,
) -> Studio:
    """Load a pipeline and the CLIPs beside it.

    Args:
        model: "emoji", a diffusers folder or a hub id.
        scorers: CLIPs; none takes the model's own, and for the emoji model the judge as a second one.
        device: None takes cuda where there is one.
        batch_size: pictures at once.

    Raises:
        CheckpointError: something does not load.
        ClipcondError: the model carries no CLIP of its own and none is named, or it does not draw pictures of a prompt alone.
        UnsupportedPipelineError: of none of the families that conditioning knows.
    """
    location = locate(model)
    shipped, place = is_emoji(location), pick_device(device)
    names = list(scorers) or [own_scorer(location)]
    if shipped and not scorers and (judge := second_opinion()):
        names.append(judge)
    dtype = torch.float32 if place.type == "cpu" else torch.float16
    pipe = load_pipeline(location, device=place, dtype=dtype)
    conditioner = Conditioner.from_pipeline(pipe)
    _require_pictures(pipe)
    pipe.set_progress_bar_config(disable=True)
    return Studio(
        pipe=pipe,
        scorers={
            _title(name, names): ClipScorer.from_pretrained(name, device=place) for name in names
        },
        conditioner=conditioner,
        model=model,
        shipped=shipped,
        batch_size=batch_size,
        starting=sibling(pipe),
    )


def _require_pictures(pipe: Any) -> None:
    """Refuse what the page cannot show, or has nothing to start from."""
    kind, takes = type(pipe).__name__, call_arguments(pipe)
    if hasattr(pipe, "video_processor") or takes.get("output_type") != "pil":
        raise ClipcondError(
            f"--model: {kind} makes no pictures, and the page shows nothing else; condition it in Python: docs/conditioning.md"
        )
    if required(pipe, "image") or "strength" in takes:
        raise ClipcondError(
            f"--model: {kind} starts from a picture; name a model that draws from a prompt alone"
        )


def _watched(pipe: Any, look: Any) -> dict[str, Any]:
    """What the pipeline's call takes to be looked at; nothing where it does not say its steps."""
    name = "callback_on_step_end"
    return {name: look} if look and name in call_arguments(pipe) else {}


def _title(name: str, names: Sequence[str]) -> str:
    """A CLIP's name for the page: its folder, or that of the model whose clip/ it is; all of it where that is not one's own."""

    def short(name: str) -> str:
        path = Path(name)
        return path.parent.name if path.name == "clip" else path.name

    return short(name) if [short(other) for other in names].count(short(name)) == 1 else name


def world_prompts() -> tuple[str, ...]:
    """Prompts of the emoji world's held-out tasks, eight of each."""
    return tuple(prompt for prompts in emoji.tasks().values() for prompt in prompts[:8])


def second_opinion() -> str | None:
    """The folder of the CLIP that ships as a judge; None in an installation without it."""
    try:
        return str(model_folder("judge"))
    except CheckpointError:
        return None


def draw(studio: Studio, settings: Settings, emit: Emit, start: Start | None = None) -> Drawn:
    """Draw, rank and judge; emits a `Step` after each denoising step.

    Args:
        studio: that draws.
        settings: what is asked.
        emit: where steps go.
        start: the picture to start from; None starts from noise alone.

    Raises:
        ClipcondError: whatever is wrong with the prompt or the settings.
        Stopped: from `emit`.
    """
    conditioner = studio.read_as(settings.dialect, settings.weighting)
    batch = min(studio.batch_size, settings.candidates)
    pipe = studio.pipe if start is None else studio.starting
    given = {} if start is None else {"image": start.picture, "strength": start.strength}
    with studio.turn, warnings.catch_warnings():
        warnings.simplefilter("ignore", CircularScoreWarning)  # the page says it in words
        found = generate(
            pipe,
            settings.prompt,
            negative_prompt=settings.negative or None,
            conditioner=conditioner,
            scorer=studio.scorer,
            candidates=settings.candidates,
            keep=settings.candidates,
            seed=settings.seed,
            batch_size=batch,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            **given,
            **_watched(pipe, Watcher(emit, batches=-(-settings.candidates // batch))),
        )
    verdicts, silence = judged(studio, found.images, found.provenance["scored_text"])
    return Drawn(
        settings=settings, generation=found, verdicts=verdicts, silence=silence, start=start
    )


def draw_each(
    studio: Studio,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: Settings,
    *,
    conditioner: Conditioner,
    on_step: Any = None,
) -> tuple[Image.Image, ...]:
    """A picture a prompt, each from its seed; prompts may change over the steps or be composed.

    Args:
        studio: that draws.
        prompts: in the conditioner's dialect.
        seeds: as many.
        settings: of all of them; their own prompt and seed are not used.
        conditioner: of the studio's pipeline.
        on_step: a diffusers step callback, which may stop the drawing by an exception.

    Raises:
        ClipcondError: whatever is wrong with a prompt.
    """
    pipe, size = studio.pipe, studio.batch_size
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), size):
        part = slice(start, start + size)
        with studio.turn:
            conditioning = conditioner(
                list(prompts[part]),
                negative_prompt=settings.negative or None,
                steps=studio.looks(settings.steps),
            )
            with conditioning.attached(pipe):
                pictures += generation.draw(
                    pipe,
                    lambda _, said=conditioning: said.kwargs_for(pipe),
                    seeds[part],
                    batch_size=size,
                    num_inference_steps=settings.steps,
                    guidance_scale=settings.guidance,
                    **_watched(pipe, on_step),
                )
    return tuple(pictures)


def judged(
    studio: Studio, images: Sequence[Image.Image], text: str
) -> tuple[tuple[emoji.Verdict, ...], str]:
    """(the oracle's verdicts, why there are none)."""
    if not studio.shipped:
        return (), "no oracle: it knows the emoji world only"
    try:
        return emoji.verdicts(images, text), ""
    except ClipcondError as error:
        return (), str(error).splitlines()[0]


class Watcher:
    """A diffusers step callback that emits a `Step`, with a preview as often as that costs little.

    Args:
        emit: where steps go.
        batches: calls of the pipeline.
        share: of the time, at most, that goes into previews; 0 makes none.
    """

    def __init__(self, emit: Emit, *, batches: int, share: float = _PREVIEW_SHARE) -> None:
        self._emit, self._batches, self._share = emit, batches, share
        self._steps, self._spent, self._start = 0, 0.0, time.perf_counter()

    def __call__(
        self, pipe: Any, _step: int, _timestep: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        """As `callback_on_step_end` is called."""
        self._steps += 1
        total = self._batches * pipe.num_timesteps
        self._emit(Step(done=self._steps / total, previews=self._preview(pipe, tensors)))
        return tensors

    def _preview(self, pipe: Any, tensors: dict[str, Any]) -> tuple[Image.Image, ...]:
        now = time.perf_counter()
        latents = tensors["latents"]
        if self._spent >= self._share * (now - self._start) or latents.ndim != 4:
            return ()
        pictures = tuple(decoded(pipe, latents))
        self._spent += time.perf_counter() - now
        return pictures


@torch.no_grad()
def decoded(pipe: Any, latents: torch.Tensor) -> list[Image.Image]:
    """Latents as pictures, as the pipeline itself decodes them at its end."""
    config = pipe.vae.config
    values = latents.to(pipe.vae.dtype) / config.scaling_factor
    values = values + (getattr(config, "shift_factor", None) or 0)
    return pipe.image_processor.postprocess(pipe.vae.decode(values, return_dict=False)[0])
