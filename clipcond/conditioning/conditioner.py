"""`Conditioner`: prompts in, `Conditioning` out. Its call is the library's spine."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from clipcond.conditioning.families import Family, family_of_index, family_of_pipeline
from clipcond.conditioning.plan import assemble, make_plan
from clipcond.conditioning.reading import Reading, read
from clipcond.conditioning.report import Report
from clipcond.conditioning.value import Conditioning, EncoderStats, Stats
from clipcond.encoders import ClipTextEncoder
from clipcond.errors import CheckpointError, ClipcondError, PromptSyntaxError
from clipcond.prompt import check_dialect
from clipcond.resources import model_folder
from clipcond.tokens import ClipTokenizer, policy_named
from clipcond.weighting import mode_named

_LARGE = 1000.0


@dataclass(frozen=True, slots=True, eq=False)
class Conditioner:
    """Turns prompts into what a denoiser reads, with a pipeline's own tokenizer and text encoder.

    Make one with `from_pipeline` or `from_pretrained`. It changes nothing on the pipeline.

    Attributes:
        tokenizer: adapted.
        encoder: adapted.
        family: the pipelines its results are for.
        dialect: how prompts are read: "a1111", "comfy", "compel" or "plain".
        weighting: how weights act: "comfy" or "none".
        long_prompt: what happens beyond the encoder's length: "a1111" (several windows), "truncate" or "error".
    """

    tokenizer: ClipTokenizer
    encoder: ClipTextEncoder
    family: Family
    dialect: str = "a1111"
    weighting: str = "comfy"
    long_prompt: str = "a1111"

    def __post_init__(self) -> None:
        check_dialect(self.dialect)
        mode_named(self.weighting)
        policy_named(self.long_prompt)

    @classmethod
    def from_pipeline(
        cls,
        pipe: Any,
        *,
        dialect: str = "a1111",
        weighting: str = "comfy",
        long_prompt: str = "a1111",
    ) -> "Conditioner":
        """Condition for a diffusers pipeline object, sharing its tokenizer and text encoder.

        Args:
            pipe: a pipeline with one CLIP text encoder and a UNet (Stable Diffusion 1 or 2 and their variants).
            dialect: see the class.
            weighting: see the class.
            long_prompt: see the class.

        Raises:
            UnsupportedPipelineError: another kind of pipeline; the message names those supported.
            ClipcondError: an option that does not exist; the message names those that do.
        """
        family = family_of_pipeline(pipe)
        tokenizer, encoder = _adapt(pipe.tokenizer, pipe.text_encoder)
        return cls(tokenizer, encoder, family, dialect, weighting, long_prompt)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        dialect: str = "a1111",
        weighting: str = "comfy",
        long_prompt: str = "a1111",
    ) -> "Conditioner":
        """Condition with the tokenizer and text encoder of a diffusers folder or hub id; loads nothing else.

        The encoder is loaded in float32 on the CPU, as diffusers loads pipelines.

        Args:
            folder: a folder, a hub id, or "emoji" for the shipped model.
            dialect: see the class.
            weighting: see the class.
            long_prompt: see the class.

        Raises:
            CheckpointError: it cannot be read.
            UnsupportedPipelineError: it holds another kind of pipeline.
            ClipcondError: an option that does not exist.
        """
        from diffusers import DiffusionPipeline
        from transformers import CLIPTextModel, CLIPTokenizer

        source = model_folder("emoji") if folder == "emoji" else folder
        try:
            index = DiffusionPipeline.load_config(source)
            family = family_of_index(index)
            tokenizer = CLIPTokenizer.from_pretrained(source, subfolder="tokenizer")
            text_encoder = CLIPTextModel.from_pretrained(
                source, subfolder="text_encoder", dtype=torch.float32, use_safetensors=True
            )
        except ClipcondError:
            raise
        except Exception as error:  # the loaders raise whatever their files make them: OSError, SafetensorError, ...
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise CheckpointError(
                f"{source} cannot be read as a diffusers folder: {reason}"
            ) from error
        return cls(*_adapt(tokenizer, text_encoder.eval()), family, dialect, weighting, long_prompt)

    def __call__(
        self, prompt: str | list[str], *, negative_prompt: str | list[str] | None = None
    ) -> Conditioning:
        """Condition one or several prompts, in one forward of the text encoder.

        Args:
            prompt: one or several.
            negative_prompt: one for all, or as many; None follows the pipeline: the empty prompt.

        Raises:
            PromptSyntaxError: a prompt that its dialect cannot mean, or weights too large for the encoder's dtype.
            PromptTooLongError: one is too long, under the policy "error".
            ValueError: no prompt, or another number of negative ones.

        Warns:
            PromptCutWarning: words were dropped, under the policy "truncate".
        """
        positive, negative = _pair(prompt, negative_prompt)
        readings = read(
            [*positive, *negative],
            self.tokenizer,
            dialect=self.dialect,
            long_prompt=self.long_prompt,
        )
        weighting = mode_named(self.weighting)
        frame = self.tokenizer.frame
        plan = make_plan([reading.chunks for reading in readings], weighting, frame.empty)
        output = self.encoder.encode(plan.rows, eos=frame.eos)
        embeds = assemble(plan, weighting, output.states)
        _check_finite(embeds, readings)
        reports = tuple(reading.report for reading in readings)
        return Conditioning(
            prompt_embeds=embeds[: len(positive)],
            negative_prompt_embeds=embeds[len(positive) :],
            stats=Stats({"text_encoder": EncoderStats(calls=1, rows=len(plan.rows))}),
            report=Report(
                prompts=reports[: len(positive)], negative_prompts=reports[len(positive) :]
            ),
            family=self.family,
        )


def _adapt(tokenizer: Any, text_encoder: Any) -> tuple[ClipTokenizer, ClipTextEncoder]:
    encoder = ClipTextEncoder(text_encoder)
    # the pipelines pad to what the tokenizer says; an encoder may hold fewer positions
    return ClipTokenizer(tokenizer, min(tokenizer.model_max_length, encoder.length)), encoder


def _pair(
    prompt: str | list[str], negative_prompt: str | list[str] | None
) -> tuple[list[str], list[str]]:
    """As many negative prompts as positive ones."""
    positive = [prompt] if isinstance(prompt, str) else list(prompt)
    if not positive:
        raise ValueError("no prompt: the list is empty")
    if negative_prompt is None or isinstance(negative_prompt, str):
        return positive, [negative_prompt or ""] * len(positive)
    if len(negative_prompt) != len(positive):
        raise ValueError(
            f"{len(negative_prompt)} negative prompts for {len(positive)} prompts: pass one for all, or as many"
        )
    return positive, list(negative_prompt)


def _check_finite(embeds: torch.Tensor, readings: Sequence[Reading]) -> None:
    """Weights large enough to leave the encoder's dtype are an error, not a black picture.

    States are of order 1 to 30, so only weights over 1000 can (half precision ends at 65504); the tensors are looked
    at only then, since looking waits for the device.
    """
    for reading, states in zip(readings, embeds, strict=True):
        fragment = max(reading.prompt.fragments(), key=lambda f: abs(f.weight), default=None)
        if fragment is None or abs(fragment.weight) <= _LARGE:
            continue
        if not math.isfinite(states.abs().max().item()):
            raise PromptSyntaxError(
                f"the weight {fragment.weight:.4g} is more than {embeds.dtype} states can take",
                reading.prompt.text,
                fragment.span,
                "lower it: weights beyond 2 rarely help",
            )
