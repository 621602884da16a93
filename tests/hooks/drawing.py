"""Drawing with tiny pipelines, and a schedule drawn by hand: what plain runs read, played back to a plain run.

Nothing here uses what it tests: torch's own forward pre-hooks write down which texts a denoiser was called with, and put
others in their place.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from clipcond import Conditioner, Conditioning
from clipcond.families.inputs import NEGATIVE, POSITIVE
from clipcond.hooks.program import plain
from tests import doubles
from tests.zoo import ZOO
from tests.zoo.animal import assemble
from tests.zoo.inputs import steps

SLOTS = ("unet", "transformer", "transformer_2", "prior", "decoder", "controlnet")
TEXTS = frozenset({
    "attention_mask", "cap_feats", "clip_text", "clip_text_pooled", "encoder_attention_mask", "encoder_attention_mask_2",
    "encoder_hidden_states", "encoder_hidden_states_mask", "text_bth", "audio_encoder_hidden_states", "audio_encoder_attention_mask", "text_lens", "encoder_hidden_states_2", "encoder_hidden_states_llama3", "encoder_hidden_states_t5",
    "pooled_embeds", "pooled_projections", "text_embedding_mask", "text_embedding_mask_t5", "text_embeds",
    "text_hidden_states", "text_rope_pos", "timestep_cond", "txt_ids",
})  # fmt: skip

Texts = dict[str, torch.Tensor | list[torch.Tensor] | None]


@dataclass(frozen=True)
class Case:
    """A pipeline, and what its call needs beside prompts."""

    build: Callable[[], Any]
    call: Callable[[], dict[str, Any]]
    options: dict[str, Any] = field(default_factory=dict)


def _own(name: str, **more: Any) -> Case:
    return Case(doubles.BUILDERS[name], lambda: steps(4, height=32, width=32, **more))


def of_zoo(name: str, build: Callable[[], Any] | None = None) -> Case:
    """One of the zoo, in four steps where its call says how many."""
    entry = ZOO[name]

    def call() -> dict[str, Any]:
        made = entry.call()
        return made | {key: 4 for key in ("num_inference_steps",) if key in made}

    length = entry.call().get("max_sequence_length")
    return Case(
        lambda: awake((build or entry.build)()),
        call,
        {"max_sequence_length": length} if length else {},
    )


def awake(pipe: Any) -> Any:
    """The pipeline with a ControlNet that says something: a new one ends in zeros."""
    module = getattr(pipe, "controlnet", None)
    noise = torch.Generator().manual_seed(0)
    for weights in module.parameters() if isinstance(module, nn.Module) else ():
        if not weights.any():
            weights.data = 0.1 * torch.randn(weights.shape, generator=noise)
    return pipe


def wan_of_two() -> Any:
    """Wan 2.2: one transformer for the noisy steps, another for the others."""
    pipe = ZOO["WanPipeline"].build()
    torch.manual_seed(1)
    other = type(pipe.transformer).from_config(pipe.transformer.config).eval()
    parts = {name: (lambda part=part: part) for name, part in pipe.components.items()}
    return assemble("WanPipeline", parts | {"transformer_2": lambda: other}, {"boundary_ratio": 0.9})  # fmt: skip


OWN = {
    "sd1": _own("sd1"),
    "sdxl": _own("sdxl"),
    "sd3": _own("sd3"),
    "flux": _own("flux", true_cfg_scale=3.0),
    "Wan of two": of_zoo("WanPipeline", wan_of_two),
}


def case(name: str) -> Case:
    """One of `OWN`, or of the zoo."""
    return OWN.get(name) or of_zoo(name)


def arrays(value: Any) -> list[np.ndarray]:
    """Pictures, films and sounds as arrays."""
    if isinstance(value, torch.Tensor):
        return [value.float().numpy()]
    if isinstance(value, list | tuple):
        return [array for part in value for array in arrays(part)]
    return [np.asarray(value, np.float32)]


def draw(pipe: Any, call: dict[str, Any], **more: Any) -> list[np.ndarray]:
    """What the pipeline draws, always from one noise."""
    torch.manual_seed(0)
    if "negative_prompt_embeds" in more:  # without a text EasyAnimate takes no strings
        call = {name: value for name, value in call.items() if name != "negative_prompt"}
    call = call | more
    if "generator" in call:
        call["generator"] = torch.Generator().manual_seed(0)
    with torch.no_grad():
        return arrays(pipe(**call)[0])


def conditioned(pipe: Any, made: Case, prompt: Any, negative: Any = None, **more: Any) -> Any:
    """With a conditioner of the pipeline's own."""
    conditioner = Conditioner.from_pipeline(pipe)
    options = dict(made.options) if conditioner.family.t5_length else {}
    if conditioner.family.sees:
        options["image"] = made.call()["image"]
    return conditioner(prompt, negative_prompt=negative, **options, **more)


def says(conditioning: Conditioning, *rows: int, negative: int = 0) -> Conditioning:
    """A conditioning that says some of another's encoded states, and each of them always.

    So that both were encoded in one forward: what is encoded beside a text may change its last bits.
    """
    other = conditioning.negative
    sides = {POSITIVE: conditioning.positive.rows(rows)}
    if other is not None:
        sides[NEGATIVE] = other.rows([negative] * len(rows))
    return replace(
        conditioning,
        positive=sides[POSITIVE],
        negative=sides.get(NEGATIVE),
        scripts={side: plain(len(rows)) for side in sides},
    )


def attached(pipe: Any, made: Case, conditioning: Any, **more: Any) -> list[np.ndarray]:
    """What the pipeline draws with a conditioning attached."""
    pictures = more.pop("num_images_per_prompt", 1)
    with conditioning.attached(pipe):
        kwargs = conditioning.kwargs_for(pipe, num_images_per_prompt=pictures)
        return draw(pipe, made.call(), **more, **kwargs)


def same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    """Bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def distance(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> float:
    """The largest difference."""
    return max(float(np.abs(a - b).max()) for a, b in zip(one, other, strict=True))


def denoisers(pipe: Any) -> list[nn.Module]:
    """Its denoisers and ControlNet."""
    found = [getattr(pipe, slot, None) for slot in SLOTS]
    return [module for module in found if isinstance(module, nn.Module)]


@contextmanager
def _hooked(pipe: Any, hook: Callable[..., Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for module in denoisers(pipe):
            handle = module.register_forward_pre_hook(hook, with_kwargs=True)
            stack.callback(handle.remove)
        yield


@dataclass(frozen=True)
class Read:
    """A call of a denoiser.

    Attributes:
        time: the noisiest of its timesteps.
        rows: how many there are.
        texts: by the names of arguments.
    """

    time: float
    rows: int
    texts: Texts


def _named(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
    """Arguments of a call that gives its texts by their place, by their names."""
    if len(args) < 3:
        return args, kwargs
    own = inspect.signature(type(module).forward).bind(module, *args, **kwargs).arguments
    return (), {name: value for name, value in own.items() if value is not module}


def _time(args: Any, kwargs: dict[str, Any]) -> float:
    names = ("timestep", "timesteps", "timestep_ratio", "t")
    value = next((kwargs[name] for name in names if name in kwargs), None)
    return float(torch.as_tensor(args[1] if value is None else value).max())


def _sample(args: Any, kwargs: dict[str, Any]) -> Any:
    names = ("hidden_states", "sample", "x", "latents")
    return args[0] if args else next(kwargs[name] for name in names if name in kwargs)


def _texts(kwargs: dict[str, Any]) -> Texts:
    found = {}
    for name, value in kwargs.items():
        if isinstance(value, dict):
            found |= _texts(value)
        elif name in TEXTS:  # None as well: a mask that leaves out nothing
            found[name] = value
    return found


@contextmanager
def recorded(pipe: Any) -> Iterator[list[Read]]:
    """What its denoisers are called with meanwhile."""
    calls: list[Read] = []

    def write(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        args, kwargs = _named(module, args, kwargs)
        calls.append(Read(_time(args, kwargs), len(_sample(args, kwargs)), _texts(kwargs)))

    with _hooked(pipe, write):
        yield calls


@contextmanager
def replayed(pipe: Any, calls: Sequence[Read]) -> Iterator[None]:
    """Meanwhile its denoisers read those texts, call by call, whatever they are called with."""
    left = iter(calls)

    def put(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        args, kwargs = _named(module, args, kwargs)
        return args, replaced(kwargs, next(left).texts)

    with _hooked(pipe, put):
        yield


def replaced(kwargs: dict[str, Any], texts: Texts) -> dict[str, Any]:
    """The arguments of a denoiser's call with other texts."""
    return {
        name: replaced(value, texts) if isinstance(value, dict) else texts.get(name, value)
        for name, value in kwargs.items()
    }


def by_hand(
    build: Callable[[], Any], call: Callable[[], dict[str, Any]], one: Any, other: Any, looks: int
) -> list[np.ndarray]:
    """What is drawn by so many steps with the arguments `one`, and the others with `other`; each run by a new pipeline.

    Steps are told by their noise: for schedulers of the first order.
    """
    reads = []
    for kwargs in (one, other):
        pipe = build()
        with recorded(pipe) as calls:
            draw(pipe, call(), **kwargs)
        reads.append(calls)
    times = list(dict.fromkeys(read.time for read in reads[0]))
    chosen = [a if times.index(a.time) < looks else b for a, b in zip(*reads, strict=True)]
    pipe = build()
    with replayed(pipe, chosen):
        return draw(pipe, call(), **one)


def rows_read(calls: Sequence[Read], conditioning: Conditioning) -> list[tuple[int, ...]]:
    """Which of a conditioning's encoded states the prompts' rows read, call by call; the negative rows come first."""
    embeds = conditioning.prompt_embeds
    return [
        tuple(
            next(number for number, state in enumerate(embeds) if torch.equal(state, row))
            for row in read.texts["encoder_hidden_states"][read.rows // 2 :]
        )
        for read in calls
    ]
