"""`Conditioning`: the tensors of one call, and how they came to be."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped

from clipcond.conditioning.file import inputs_of, read_file, write_file
from clipcond.conditioning.fitting import check_fits, check_places
from clipcond.conditioning.places import texts_of
from clipcond.conditioning.report import EncoderStats, Report, Stats
from clipcond.conditioning.script_file import read_scripts, write_scripts
from clipcond.conditioning.telling import counted
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.families.finding import call_arguments, family_named, required
from clipcond.families.handover import Handing, held, in_lists
from clipcond.families.inputs import NAMES, NEGATIVE, POSITIVE, Inputs, Sides
from clipcond.hooks.markers import Marked, marked
from clipcond.hooks.program import Scripts, plain
from clipcond.hooks.session import acting, session_of
from clipcond.hooks.states import States
from clipcond.identity import Fingerprint

_WIDEST, _MOST_LINES = 120, 12
TENSORS = tuple(f"{side}{name}" for name in NAMES.values() for side in ("", "negative_"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Conditioning:
    """What a denoiser reads for some prompts; no gradients. `Conditioner` makes it, and `Conditioning.load`.

    Positive and negative have one shape, but in families whose denoiser is given no padding (Kandinsky 5): there each
    side is as long as its longest prompt. The tensors have the names of a pipeline's arguments.

    Attributes:
        positive: of the prompts.
        negative: of the negative prompts; None where the pipeline reads none.
        negative_given: whether the caller asked for the negative prompts, or the pipeline's default stands.
        scripts: what each prompt of each side says when: which rows of `positive` and `negative`. Where every prompt says
            one thing, they are those of the prompts.
        stats: forwards and rows.
        report: tokens, weights, windows, what was cut.
        family: the name of the pipelines these are for.
        fingerprints: encoder slot -> which encoder it was; None where its weights could not be looked at.
    """

    positive: Inputs
    negative: Inputs | None = None
    negative_given: bool = False
    scripts: Scripts = field(repr=False)
    stats: Stats
    report: Report = field(repr=False)
    family: str
    fingerprints: Mapping[str, Fingerprint | None] = field(repr=False)

    @property
    def sides(self) -> Sides[Inputs]:
        """Both sides by their names."""
        negative = {} if self.negative is None else {NEGATIVE: self.negative}
        return {POSITIVE: self.positive, **negative}

    @property
    def prompt_embeds(self) -> Float[torch.Tensor, "batch tokens dim"]:
        """States of the prompts, in the encoder's dtype."""
        return self.positive.embeds

    @property
    def negative_prompt_embeds(self) -> Float[torch.Tensor, "batch tokens dim"] | None:
        """States of the negative prompts; None where the pipeline reads none."""
        return None if self.negative is None else self.negative.embeds

    @property
    def pooled_prompt_embeds(self) -> Float[torch.Tensor, "batch *one pooled_dim"] | None:
        """None in families that read none."""
        return self.positive.pooled

    @property
    def negative_pooled_prompt_embeds(self) -> Float[torch.Tensor, "batch *one pooled_dim"] | None:
        """The same of the negative prompts."""
        return None if self.negative is None else self.negative.pooled

    @property
    def prompt_attention_mask(self) -> Shaped[torch.Tensor, "batch tokens"] | None:
        """Which tokens the denoiser is to look at; None in families that read none."""
        return self.positive.mask

    @property
    def negative_prompt_attention_mask(self) -> Shaped[torch.Tensor, "batch tokens"] | None:
        """The same of the negative prompts."""
        return None if self.negative is None else self.negative.mask

    @property
    def prompt_embeds_2(self) -> Float[torch.Tensor, "batch tokens *layers dim"] | None:
        """A second sequence of states, in HiDream of several layers; None in families that read none."""
        return self.positive.embeds_2

    @property
    def negative_prompt_embeds_2(self) -> Float[torch.Tensor, "batch tokens *layers dim"] | None:
        """The same of the negative prompts."""
        return None if self.negative is None else self.negative.embeds_2

    @property
    def prompt_attention_mask_2(self) -> Shaped[torch.Tensor, "batch tokens"] | None:
        """Which tokens of the second sequence the denoiser is to look at."""
        return self.positive.mask_2

    @property
    def negative_prompt_attention_mask_2(self) -> Shaped[torch.Tensor, "batch tokens"] | None:
        """The same of the negative prompts."""
        return None if self.negative is None else self.negative.mask_2

    @property
    def is_dynamic(self) -> bool:
        """Whether a prompt changes over the steps, is composed or has regions, and acts through `attached` only."""
        return not all(script.is_plain for side in self.scripts.values() for script in side)

    @contextmanager
    def attached(self, pipe: Any) -> Iterator["Conditioning"]:
        """Meanwhile, calls of the pipeline say at each step what it is time for; afterwards all is as it was.

            with conditioning.attached(pipe):
                images = pipe(**conditioning.kwargs_for(pipe), num_inference_steps=20).images

        Schedules count as AUTOMATIC1111's web UI lists them: from the first step that is executed, each look of a
        second-order sampler. Nothing is attached where every prompt says one thing.

        Args:
            pipe: as for `kwargs_for`.

        Raises:
            UnsupportedPipelineError: another pipeline, or one whose denoiser reads no text during its run.
            ClipcondError: another conditioning is attached to it; or, when it draws, there is no guidance for AND.
        """
        family = family_named(self.family)
        check_fits(pipe, family, self.prompt_embeds.shape[2], self.fingerprints)
        if not self.is_dynamic:
            yield self
            return
        with acting(pipe, family, "attached", States.of(pipe, family, self.sides, self.scripts)):
            yield self

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
        check_fits(pipe, family, self.prompt_embeds.shape[2], self.fingerprints)
        check_places(pipe, family, self.sides)
        sides, replaced = self._handed(pipe)
        takes = call_arguments(pipe)
        device, dtype = pipe._execution_device, getattr(pipe, family.denoiser).dtype  # noqa: SLF001 no public name
        encoders = [getattr(pipe, role.slot, None) for role in family.roles]
        call = Handing(
            pipe=pipe,
            family=self.family,
            sides=sides,
            negative_given=self.negative_given,
            pictures=num_images_per_prompt,
        )
        kwargs: dict[str, Any] = {}

        def placed(tensor: torch.Tensor) -> torch.Tensor:
            there = tensor.to(device, dtype if tensor.is_floating_point() else None)
            return Marked.of(there, replaced) if replaced else held(there, dtype, encoders)

        for name, handed in family.hand_over(call).items():
            argument = family.arguments.get(name, name)
            if argument in takes:
                kwargs[argument] = in_lists(handed, placed)
            elif self.negative_given or not name.startswith("negative"):
                raise UnsupportedPipelineError(
                    f"{type(pipe).__name__} takes no {argument}; condition without what it is for"
                )
        if self.negative_prompt_embeds is not None and takes.get("negative_prompt") is not None:
            kwargs["negative_prompt"] = None  # not its default, a text
        if required(pipe, "prompt"):
            kwargs["prompt"] = None
        if num_images_per_prompt != 1 and "num_images_per_prompt" in takes:
            kwargs["num_images_per_prompt"] = 1
        session = session_of(pipe)
        if session is not None and session.maps is not None:
            handed = kwargs[family.arguments.get("prompt_embeds", "prompt_embeds")]
            texts = texts_of(self.report, family, self.positive, num_images_per_prompt)
            session.maps.told(handed, texts)
        return kwargs

    def _handed(self, pipe: Any) -> tuple[Sides[Inputs], Callable[[], bool] | None]:
        """What a call is handed; of prompts that change, marks, and who tells whether they will be replaced.

        Raises:
            ClipcondError: they would not be.
        """
        if not self.is_dynamic:
            return self.sides, None
        session = session_of(pipe)
        states = None if session is None else session.attached
        if states is None or states.scripts is not self.scripts:
            raise ClipcondError(
                "this conditioning changes over the steps, is composed or has regions, which no arguments of a call can say: "
                "call kwargs_for and the pipeline within `with conditioning.attached(pipe):`"
            )
        beginnings = {
            side: states.widened(inputs.beginnings([script.rows for script in self.scripts[side]]))
            for side, inputs in self.sides.items()
        }

        def replaced() -> bool:
            session = session_of(pipe)
            return session is not None and session.attached is states

        seconds = [inputs.embeds_2 for inputs in self.sides.values() if inputs.embeds_2 is not None]
        return marked(beginnings, second=any(bool(each.any()) for each in seconds)), replaced

    def save(self, path: str | Path) -> None:
        """Write one safetensors file: the tensors, and in its metadata the rest as JSON.

        Schedules, what is composed, and regions with their masks are in it as well.

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
        if self.is_dynamic:
            scripts, masks = write_scripts(self.scripts)
            tensors |= masks
            about |= {"scripts": scripts, "masks": list(masks)}
        write_file(Path(path), tensors, about)

    @classmethod
    def load(cls, path: str | Path) -> "Conditioning":
        """Read what `save` wrote, onto the CPU.

        Raises:
            CheckpointError: it is no such file.
        """
        tensors, about = read_file(Path(path), TENSORS)
        positive = inputs_of(tensors, "")
        negative = inputs_of(tensors, "negative_") if "negative_prompt_embeds" in tensors else None
        sides = (
            {POSITIVE: positive} if negative is None else {POSITIVE: positive, NEGATIVE: negative}
        )
        counts = {side: len(inputs.embeds) for side, inputs in sides.items()}
        scripts = (
            read_scripts(about["scripts"], tensors, counts)
            if "scripts" in about
            else {side: plain(count) for side, count in counts.items()}
        )
        return cls(
            positive=positive,
            negative=negative,
            scripts=scripts,
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
        regions = family_named(self.family).regions
        what = counted(self.scripts[POSITIVE], regions) if self.is_dynamic else batch
        dtype = str(self.prompt_embeds.dtype).removeprefix("torch.")
        cost = ", ".join(f"{slot} {s.calls} x {s.rows}" for slot, s in self.stats.encoders.items())
        head = (
            f"Conditioning({self.family}: {what} x {tokens} tokens x {dim}, {dtype} on {self.prompt_embeds.device}; "
            f"forwards x rows: {cost})"
        )
        lines = str(self.report).splitlines()
        shown = [
            line if len(line) <= _WIDEST else f"{line[:_WIDEST]}..." for line in lines[:_MOST_LINES]
        ]
        return "\n".join([head, *shown, *(["..."] if len(lines) > _MOST_LINES else [])])

    def _repr_html_(self) -> str:
        return self.report.to_html()
