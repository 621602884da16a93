"""`Conditioning`: the tensors of one call, and how they came to be."""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int

from clipcond.conditioning.families import Family, family_of_pipeline
from clipcond.conditioning.report import Report
from clipcond.errors import ClipcondError, UnsupportedPipelineError

_WIDEST, _MOST_LINES = 120, 12


@dataclass(frozen=True, slots=True)
class EncoderStats:
    """What one encoder did.

    Attributes:
        calls: forwards.
        rows: rows of ids in them.
    """

    calls: int
    rows: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What a call cost, per encoder slot (`stats["text_encoder"]`) and in all."""

    encoders: dict[str, EncoderStats]

    def __getitem__(self, slot: str) -> EncoderStats:
        return self.encoders[slot]

    @property
    def calls(self) -> int:
        """Forwards of all encoders."""
        return sum(encoder.calls for encoder in self.encoders.values())

    @property
    def rows(self) -> int:
        """Rows of ids that all encoders read."""
        return sum(encoder.rows for encoder in self.encoders.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditioning:
    """What a denoiser reads for some prompts. Positive and negative have one shape; no gradients.

    Attributes:
        prompt_embeds: states of the positive prompts, in the encoder's dtype; windows of 77 tokens one after another.
        negative_prompt_embeds: states of the negative prompts.
        pooled_prompt_embeds: None in families that read none.
        negative_pooled_prompt_embeds: None in families that read none.
        prompt_attention_mask: None in families that read none.
        stats: forwards and rows.
        report: tokens, weights, windows, what was cut.
        family: the pipelines these are for.
    """

    prompt_embeds: Float[torch.Tensor, "batch tokens dim"]
    negative_prompt_embeds: Float[torch.Tensor, "batch tokens dim"]
    pooled_prompt_embeds: Float[torch.Tensor, "batch pooled_dim"] | None = None
    negative_pooled_prompt_embeds: Float[torch.Tensor, "batch pooled_dim"] | None = None
    prompt_attention_mask: Int[torch.Tensor, "batch tokens"] | None = None
    stats: Stats
    report: Report = field(repr=False)
    family: Family

    def kwargs_for(self, pipe: Any, num_images_per_prompt: int = 1) -> dict[str, Any]:
        """The arguments for a pipeline's call: `pipe(**conditioning.kwargs_for(pipe))`.

        Tensors come in the denoiser's dtype, where the pipeline runs. These pipelines repeat given embeddings
        themselves, so several pictures a prompt are asked of them by their own argument: it is among the arguments
        when `num_images_per_prompt` is not 1, and passing it to the pipeline as well is Python's "multiple values"
        error rather than a wrong number of pictures.

        Args:
            pipe: a pipeline of `family` whose denoiser reads states of this width.
            num_images_per_prompt: pictures of each prompt; those of one prompt come next to each other.

        Raises:
            UnsupportedPipelineError: another family, or another width.
            ClipcondError: fewer than one picture.
        """
        family = family_of_pipeline(pipe)
        denoiser = getattr(pipe, family.denoiser)
        width = denoiser.config.cross_attention_dim
        if family != self.family or width != self.prompt_embeds.shape[2]:
            raise UnsupportedPipelineError(
                f"this conditioning is {self.prompt_embeds.shape[2]} wide for {self.family.name}; "
                f"{type(pipe).__name__} reads {width} wide states of {family.name}: condition with a Conditioner of "
                "this very pipeline"
            )
        if num_images_per_prompt < 1:
            raise ClipcondError(
                f"num_images_per_prompt: got {num_images_per_prompt}; needs at least 1"
            )
        place = {"dtype": denoiser.dtype, "device": pipe._execution_device}  # noqa: SLF001 no public name
        kwargs: dict[str, Any] = {
            "prompt_embeds": self.prompt_embeds.to(**place),
            "negative_prompt_embeds": self.negative_prompt_embeds.to(**place),
        }
        if num_images_per_prompt != 1:
            kwargs["num_images_per_prompt"] = num_images_per_prompt
        return kwargs

    def __repr__(self) -> str:
        batch, tokens, dim = self.prompt_embeds.shape
        dtype = str(self.prompt_embeds.dtype).removeprefix("torch.")
        head = (
            f"Conditioning({self.family.name}: {batch} x {tokens} tokens x {dim}, {dtype} on {self.prompt_embeds.device}; "
            f"{self.stats.calls} forward of {self.stats.rows} rows)"
        )
        lines = str(self.report).splitlines()
        shown = [
            line if len(line) <= _WIDEST else f"{line[:_WIDEST]}..." for line in lines[:_MOST_LINES]
        ]
        return "\n".join([head, *shown, *(["..."] if len(lines) > _MOST_LINES else [])])
