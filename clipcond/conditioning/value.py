"""`Conditioning`: the tensors of one call, and how they came to be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped

from clipcond.conditioning.families import (
    call_arguments,
    family_named,
    family_of_pipeline,
    required,
)
from clipcond.conditioning.family import Family
from clipcond.conditioning.handover import PACKED, as_wanted, content_first, held
from clipcond.conditioning.report import Report
from clipcond.conditioning.storage import read_file, write_file
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.identity import Fingerprint, fingerprint

_WIDEST, _MOST_LINES = 120, 12
TENSORS = (
    "prompt_embeds",
    "negative_prompt_embeds",
    "pooled_prompt_embeds",
    "negative_pooled_prompt_embeds",
    "prompt_attention_mask",
    "negative_prompt_attention_mask",
    "prompt_embeds_2",
    "negative_prompt_embeds_2",
    "prompt_attention_mask_2",
    "negative_prompt_attention_mask_2",
)


@dataclass(frozen=True, slots=True)
class EncoderStats:
    """What one encoder did.

    Attributes:
        calls: forwards.
        rows: rows of ids in them.
        rows_cached: rows that it need not run, since the cache had them.
    """

    calls: int
    rows: int
    rows_cached: int = 0


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

    @property
    def rows_cached(self) -> int:
        """Rows that came from the cache."""
        return sum(encoder.rows_cached for encoder in self.encoders.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditioning:
    """What a denoiser reads for some prompts; no gradients. Positive and negative have one shape, but in families
    whose denoiser is given no padding (Kandinsky 5): there each side is as long as its longest prompt.

    Attributes:
        prompt_embeds: states of the positive prompts, in the encoder's dtype.
        negative_prompt_embeds: states of the negative prompts; None where the pipeline reads none.
        pooled_prompt_embeds: None in families that read none.
        negative_pooled_prompt_embeds: None in families that read none.
        prompt_attention_mask: which tokens the denoiser is to look at; None in families that read none.
        negative_prompt_attention_mask: the same of the negative prompts.
        prompt_embeds_2: a second sequence of states beside `prompt_embeds`, in HiDream of several layers; None in families
            that read none, as the three that follow.
        negative_prompt_embeds_2: the same of the negative prompts.
        prompt_attention_mask_2: which tokens of the second sequence the denoiser is to look at.
        negative_prompt_attention_mask_2: the same of the negative prompts.
        negative_given: whether the caller asked for the negative prompts, or the pipeline's default stands.
        stats: forwards and rows.
        report: tokens, weights, windows, what was cut.
        family: the name of the pipelines these are for.
        fingerprints: encoder slot -> which encoder it was; None where its weights could not be looked at.
    """

    prompt_embeds: Float[torch.Tensor, "batch tokens dim"]
    negative_prompt_embeds: Float[torch.Tensor, "batch negative_tokens dim"] | None = None
    pooled_prompt_embeds: Float[torch.Tensor, "batch *one pooled_dim"] | None = None
    negative_pooled_prompt_embeds: Float[torch.Tensor, "batch *one pooled_dim"] | None = None
    prompt_attention_mask: Shaped[torch.Tensor, "batch tokens"] | None = None
    negative_prompt_attention_mask: Shaped[torch.Tensor, "batch negative_tokens"] | None = None
    prompt_embeds_2: Float[torch.Tensor, "batch tokens_2 *layers dim_2"] | None = None
    negative_prompt_embeds_2: Float[torch.Tensor, "batch tokens_2 *layers dim_2"] | None = None
    prompt_attention_mask_2: Shaped[torch.Tensor, "batch tokens_2"] | None = None
    negative_prompt_attention_mask_2: Shaped[torch.Tensor, "batch tokens_2"] | None = None
    negative_given: bool = False
    stats: Stats
    report: Report = field(repr=False)
    family: str
    fingerprints: Mapping[str, Fingerprint | None] = field(repr=False)

    def kwargs_for(self, pipe: Any, num_images_per_prompt: int = 1) -> dict[str, Any]:
        """The arguments for a pipeline's call: `pipe(**conditioning.kwargs_for(pipe))`.

        Tensors come in the denoiser's dtype, on the device where the pipeline runs, and stay in it where the pipeline
        would cast them to another one of its text encoders (see `HeldTensor`); each prompt's are repeated
        `num_images_per_prompt` times (some pipelines would not repeat given embeddings, none repeats them twice).
        Where that is not 1, the pipeline's own argument is among them and 1, so that passing it to the pipeline as well
        is Python's "multiple values" error rather than a wrong number of pictures.

        Pictures of one's own (a ControlNet's, one a prompt) are the caller's to repeat alike:
        `[picture for picture in pictures for _ in range(num_images_per_prompt)]`; a single one serves all.

        Args:
            pipe: a pipeline of `family` with the text encoders that made this, or with none.
            num_images_per_prompt: pictures of each prompt; those of one prompt come next to each other.

        Raises:
            UnsupportedPipelineError: another family, width or text encoder; or no place for the negative prompt.
            ClipcondError: fewer than one picture, or prompts of several lengths where the denoiser would read padding.
        """
        if num_images_per_prompt < 1:
            raise ClipcondError(
                f"num_images_per_prompt: got {num_images_per_prompt}; needs at least 1"
            )
        family = family_named(self.family)
        self._check(pipe, family)
        several_edits = family.edits and self._check_edits(pipe, num_images_per_prompt)
        takes = call_arguments(pipe)
        device, dtype = pipe._execution_device, getattr(pipe, family.denoiser).dtype  # noqa: SLF001 no public name
        kwargs: dict[str, Any] = {
            argument: held(
                tensor.to(device, dtype if tensor.is_floating_point() else None), pipe, family
            )
            for argument, tensor in self._handed_over(pipe, num_images_per_prompt)
            if not (several_edits and argument.startswith("negative"))
        }
        if self.negative_prompt_embeds is not None and takes.get("negative_prompt") is not None:
            kwargs["negative_prompt"] = None  # not its default, a text
        if required(pipe, "prompt"):
            kwargs["prompt"] = None
        if num_images_per_prompt != 1 and "num_images_per_prompt" in takes:
            kwargs["num_images_per_prompt"] = 1
        return kwargs

    def _handed_over(self, pipe: Any, count: int) -> Iterator[tuple[str, torch.Tensor]]:
        """(argument, tensor) of all that a call takes, each prompt's `count` times."""
        family, takes = family_named(self.family), call_arguments(pipe)
        for name in TENSORS:
            tensor, argument = getattr(self, name), family.arguments.get(name, name)
            if tensor is None or (family.trimmed and argument not in takes and "mask" in name):
                continue
            if argument in takes:
                if family.packed and name in PACKED:
                    tensor = content_first(tensor, getattr(self, PACKED[name]))
                yield argument, as_wanted(tensor.repeat_interleave(count, 0), argument)
            elif self.negative_given or not name.startswith("negative"):
                raise UnsupportedPipelineError(
                    f"{type(pipe).__name__} takes no {argument}; condition without what it is for"
                )

    def _check_padding(self) -> None:
        """Whether there is none, where the denoiser would read it."""
        for mask in (self.prompt_attention_mask, self.negative_prompt_attention_mask):
            if mask is not None and not mask.all():
                raise ClipcondError(
                    f"{self.family} reads every position, so one call takes prompts of one length, and these have "
                    f"{', '.join(map(str, mask.sum(1).tolist()))} tokens: condition and draw them one by one"
                )

    def _check(self, pipe: Any, family: Family) -> None:
        """Whether the pipeline reads states of this kind, and has no other text encoder than the one that made them."""
        if family.drops_negative and self.negative_given:
            raise UnsupportedPipelineError(
                f"{type(pipe).__name__} puts zeros in the place of negative embeddings; condition without a negative prompt"
            )
        if family.trimmed:
            self._check_padding()
        if family.denoiser in pipe.components and getattr(pipe, family.denoiser) is None:
            raise UnsupportedPipelineError(
                f"{type(pipe).__name__} has no {family.denoiser} to hand tensors to: pass the pipeline that draws"
            )
        own = {slot: getattr(pipe, slot, None) for slot in self.fingerprints}
        if any(module is not None for module in own.values()):
            found = family_of_pipeline(pipe).name
        else:
            denoiser = getattr(pipe, family.denoiser, None)
            fits = family.denoises(denoiser)
            found = family.name if fits else type(pipe).__name__
        fits = found == family.name
        width = family.width_in(getattr(pipe, family.denoiser).config) if fits else 0
        if found != family.name or width != self.prompt_embeds.shape[2]:
            raise UnsupportedPipelineError(
                f"this conditioning is {self.prompt_embeds.shape[2]} wide for {self.family}; "
                f"{type(pipe).__name__} reads {f'{width} wide states of {found}' if width else found}: condition with "
                "a Conditioner of this very pipeline"
            )
        for slot, module in own.items():
            made_by, now = (
                self.fingerprints[slot],
                fingerprint(module) if module is not None else None,
            )
            if made_by and now and not made_by.matches(now):
                raise UnsupportedPipelineError(
                    f"this conditioning was made by another {slot} than {type(pipe).__name__} has (its weights "
                    "differ): condition with a Conditioner of this very pipeline"
                )

    def _check_edits(self, pipe: Any, num_images_per_prompt: int) -> bool:
        """Whether there are several edits of the one picture, whose one negative prompt is left to the pipeline."""
        count, length = self.prompt_embeds.shape[:2]
        longer = length > pipe.tokenizer.model_max_length
        if num_images_per_prompt > 1 or (count > 1 and (self.negative_given or longer)):
            raise UnsupportedPipelineError(
                f"{type(pipe).__name__} draws one picture with all its edits: condition without num_images_per_prompt, "
                "and several edits without a negative prompt and of one window each"
            )
        return count > 1

    def save(self, path: str | Path) -> None:
        """Write one safetensors file: the tensors, and in its metadata the rest as JSON.

        Raises:
            ClipcondError: it cannot be written.
        """
        tensors = {name: getattr(self, name) for name in TENSORS if getattr(self, name) is not None}
        about = {
            "family": self.family,
            "negative_given": self.negative_given,
            "stats": {
                slot: [s.calls, s.rows, s.rows_cached] for slot, s in self.stats.encoders.items()
            },
            "report": self.report.to_json(),
            "fingerprints": {
                slot: f and [f.digest, f.dtype, list(f.values)]
                for slot, f in self.fingerprints.items()
            },
        }
        write_file(Path(path), tensors, about)

    @classmethod
    def load(cls, path: str | Path) -> "Conditioning":
        """Read what `save` wrote, onto the CPU.

        Raises:
            CheckpointError: it is no such file.
        """
        tensors, about = read_file(Path(path), TENSORS)
        return cls(
            **tensors,
            family=about["family"],
            negative_given=about["negative_given"],
            stats=Stats({slot: EncoderStats(*counts) for slot, counts in about["stats"].items()}),
            report=Report.from_json(about["report"]),
            fingerprints={
                slot: f and Fingerprint(f[0], f[1], tuple(f[2]))
                for slot, f in about["fingerprints"].items()
            },
        )

    def __repr__(self) -> str:
        batch, tokens, dim = self.prompt_embeds.shape
        dtype = str(self.prompt_embeds.dtype).removeprefix("torch.")
        cost = ", ".join(f"{slot} {s.calls} x {s.rows}" for slot, s in self.stats.encoders.items())
        head = (
            f"Conditioning({self.family}: {batch} x {tokens} tokens x {dim}, {dtype} on {self.prompt_embeds.device}; "
            f"forwards x rows: {cost})"
        )
        lines = str(self.report).splitlines()
        shown = [
            line if len(line) <= _WIDEST else f"{line[:_WIDEST]}..." for line in lines[:_MOST_LINES]
        ]
        return "\n".join([head, *shown, *(["..."] if len(lines) > _MOST_LINES else [])])

    def _repr_html_(self) -> str:
        return self.report.to_html()
