"""`Conditioner`: prompts in, `Conditioning` out. Its call is the library's spine: read, plan, encode, combine, assemble.

Each stage has a file of its own. Between them every side of a call (the prompts, the negative ones) goes by its name.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from clipcond.conditioning.assembly import assemble, check_finite
from clipcond.conditioning.combine import combine
from clipcond.conditioning.encoding import encode
from clipcond.conditioning.installing import translated
from clipcond.conditioning.options import OptionArguments, Options
from clipcond.conditioning.plan import make_plans
from clipcond.conditioning.reading import Reading, read
from clipcond.conditioning.report import EncoderReport, PromptReport, Report, Stats
from clipcond.conditioning.telling import told
from clipcond.conditioning.texts import Given, Texts, pair_prompts
from clipcond.conditioning.unfolding import Regions, Spoken, regions_of, unfold
from clipcond.conditioning.value import Conditioning
from clipcond.encoders import TextualInversion, exclusive, lora_scaled
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.families.contract import Family
from clipcond.families.finding import family_of_pipeline
from clipcond.families.folder import Source
from clipcond.families.inputs import NEGATIVE, POSITIVE, Sides
from clipcond.families.loading import paths_of_folder, paths_of_pipeline
from clipcond.families.sight import Pictures
from clipcond.families.templates import template_of
from clipcond.families.text_path import TextPath, check_clip_skip, check_known
from clipcond.hooks.program import Scripts
from clipcond.hooks.session import acting
from clipcond.identity import fingerprint


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Conditioner:
    """Turns prompts into what a denoiser reads, with a pipeline's own tokenizers and text encoders.

    Make one with `from_pipeline` or `from_pretrained`. It changes nothing on the pipeline.

    Attributes:
        family: the pipelines its results are for.
        paths: the family's text encoders with their tokenizers.
        width: of the denoiser's text states; 0 where the pipeline has text encoders only.
        zeros: whether a negative prompt of None is zeros (SDXL's force_zeros_for_empty_prompt).
        options: how it reads, weighs and encodes.
    """

    family: Family
    paths: tuple[TextPath, ...]
    width: int
    zeros: bool = False
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        check_clip_skip(self.options.clip_skip, self.paths, self.family)

    @classmethod
    def from_pipeline(cls, pipe: Any, **options: Unpack[OptionArguments]) -> "Conditioner":
        """Condition for a diffusers pipeline object, sharing its tokenizers and text encoders.

        Args:
            pipe: of one of the families of docs/pipelines.md, in any of their variants (image to image, inpainting,
                ControlNet, LCM, ...).
            **options: see `Options`.

        Raises:
            UnsupportedPipelineError: another kind of pipeline; the message names those supported.
            ClipcondError: an option that does not exist; the message names those that do.
        """
        chosen = Options.of(options)
        return cls(*paths_of_pipeline(pipe), options=chosen)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        tokenizer: Any = None,
        variant: str | None = None,
        revision: str | None = None,
        subfolder: str = "",
        **options: Unpack[OptionArguments],
    ) -> "Conditioner":
        """Condition with the tokenizers and text encoders of a diffusers folder, hub id or file; loads no more.

        The encoders are loaded in float32 on the CPU, whatever dtype their folders name; diffusers, where it is given
        none, loads text encoders in the dtype that they name and the denoiser in float32.

        Args:
            folder: a folder, a hub id, "emoji" for the shipped model, or a .safetensors file of a whole model in the
                original layout of Stable Diffusion 1, 2, XL, the XL refiner, 3, 3.5 or Flux.1.
            tokenizer: for a file, which holds none: a tokenizer or where one is (folder, hub id,
                bpe_simple_vocab_16e6.txt.gz) for its CLIP encoders, or a mapping of the pipelines' names
                ("tokenizer", "tokenizer_2", ...) to such. None, and CLIP encoders that the mapping leaves out, take
                OpenAI's vocabulary: beside the file, of an installed open_clip_torch, or from the hub. A T5 needs one.
            variant: in the names of the weights' files: "fp16" for model.fp16.safetensors.
            revision: of a hub id: a branch, tag or commit.
            subfolder: where in the folder or hub id model_index.json is.
            **options: see `Options`.

        Raises:
            CheckpointError: it cannot be read.
            UnsupportedPipelineError: it holds another kind of pipeline.
            ClipcondError: an option that does not exist.
        """
        chosen = Options.of(options)
        source = Source(place=folder, variant=variant, revision=revision, subfolder=subfolder)
        return cls(*paths_of_folder(source, tokenizer), options=chosen)

    @property
    def dialect(self) -> str:
        """How prompts are read."""
        return self.options.dialect

    @property
    def weighting(self) -> str:
        """How weights act."""
        return self.options.weighting

    @property
    def long_prompt(self) -> str:
        """What happens beyond an encoder's length."""
        return self.options.long_prompt

    def __call__(
        self,
        prompt: str | list[str],
        *,
        negative_prompt: Given = None,
        prompt_2: Given = None,
        prompt_3: Given = None,
        negative_prompt_2: Given = None,
        negative_prompt_3: Given = None,
        lora_scale: int | float | None = None,
        max_sequence_length: int | None = None,
        prompt_template: Mapping[str, Any] | None = None,
        image: Pictures = None,
        steps: int | None = None,
        regions: Regions = (),
    ) -> Conditioning:
        """Condition one or several prompts, in one forward of each text encoder: everything that they ever say.

        Prompts that change over the steps, are composed with AND or have regions act through `Conditioning.attached`.

        Args:
            prompt: one or several.
            negative_prompt: one for all, or as many; None follows the pipeline: the empty prompt, zeros, or nothing.
            prompt_2: for the second text encoder; None or "" is `prompt`, as in the pipelines.
            prompt_3: for the third.
            negative_prompt_2: for the second text encoder; None or "" is `negative_prompt`.
            negative_prompt_3: for the third.
            lora_scale: how much the LoRAs on the text encoders act, times their own weights; None leaves them as they
                are. The denoiser's are scaled by the pipeline's own `cross_attention_kwargs={"scale": ...}`.
            max_sequence_length: positions of the rows of T5 or of a language model (Stable Diffusion 3: 256, Flux: 512); a
                longer prompt gets what it needs, unless the policy is "truncate" or "error".
            prompt_template: what stands around a prompt for HunyuanVideo's language model, as its pipelines take it;
                None is theirs.
            image: picture(s) that the encoder reads with every prompt, as the pipeline is called with them (Qwen-Image Edit).
            steps: of the run that scheduled prompts are for; None serves any number of steps up to 150.
            regions: what stands in places of the picture; of several prompts, a sequence for each of them.

        Raises:
            PromptSyntaxError: a prompt that its dialect cannot mean, or weights too large for the encoder's dtype.
            PromptTooLongError: one is too long, under the policy "error".
            ClipcondError: a prompt for an encoder that the family has not, or another number of them; no picture for one that
                is shown pictures, or one for another.

        Warns:
            PromptCutWarning: words were dropped, under the policy "truncate".
        """
        texts = self._texts(
            (prompt, prompt_2, prompt_3), (negative_prompt, negative_prompt_2, negative_prompt_3)
        )
        spoken = unfold(texts, self.options.dialect, steps, regions_of(regions, texts))
        t5_length = self._t5_length(max_sequence_length)
        paths = self._paths(prompt_template, t5_length, image)
        readings = self._read(spoken, paths)
        plans = make_plans(paths, readings, self.options.mode, self.options.pooling.windows)
        encoded, stats = {}, {}
        with lora_scaled([path.encoder.module for path in paths], lora_scale):
            for path in paths:
                slot, plan = path.role.slot, plans[path.role.slot]
                with exclusive(path.encoder.module):
                    output, stats[slot] = encode(
                        path, plan.rows, self.options.cache, self.options.memory_limit
                    )
                    encoded[slot] = combine(plan, output, path.encoder, self.options.pooling)
        inputs = assemble(self.family, encoded, self.width, t5_length)
        check_finite(inputs, next(iter(readings.values())))
        if spoken.zeros:
            zeros = inputs[POSITIVE].rows(range(len(spoken.scripts[NEGATIVE]))).zeros()
            inputs = {**inputs, NEGATIVE: zeros}
        return Conditioning(
            positive=inputs[POSITIVE],
            negative=inputs.get(NEGATIVE),
            negative_given=texts.negative_given,
            scripts=spoken.scripts,
            stats=Stats(stats),
            report=_report(paths, readings, spoken.scripts, steps),
            family=self.family.name,
            fingerprints={path.role.slot: fingerprint(path.encoder.module) for path in paths},
        )

    @contextmanager
    def installed(self, pipe: Any) -> Iterator[None]:
        """Meanwhile, calls of the pipeline with strings gain the prompt language: weights, schedules, AND, long prompts.

            with conditioner.installed(pipe):
                images = pipe("a (red:1.3) [fox:pumpkin:0.5]", negative_prompt="(blurry:1.2)").images

        A call whose strings say no more than the pipeline reads in them is left alone, bit for bit; so is one with
        embeddings.

        Args:
            pipe: the pipeline that this was made from, or another of its family with the same text encoders.

        Raises:
            UnsupportedPipelineError: another kind of pipeline.
            ClipcondError: another conditioner is installed; or, when it draws, what `attached` raises.
        """
        family = family_of_pipeline(pipe)
        if family.name != self.family.name:
            raise UnsupportedPipelineError(
                f"{type(pipe).__name__} is of {family.name}, and this conditioner for {self.family.name}: install one made "
                "with Conditioner.from_pipeline(pipe)"
            )
        with acting(pipe, family, "installed", partial(translated, self, pipe)):
            yield

    def with_inversions(self, *inversions: str | Path | TextualInversion) -> "Conditioner":
        """A conditioner that knows textual inversions as words; this one and the pipeline stay as they are.

        A word stands for all its vectors: `(EasyNegative:1.2)` weighs them together, and no window's end parts them. It
        is found in any case, whole words only, and as `embedding:EasyNegative` too. Encoders for which it has no
        vectors read it as text.

        Args:
            inversions: files (see `TextualInversion.load`; the word is the one in the file or the file's name), or
                `TextualInversion.load(file, token="...")` for another word.

        Raises:
            CheckpointError: a file cannot be read.
            ClipcondError: vectors that fit no encoder here, or a word twice.
        """
        loaded = [
            i if isinstance(i, TextualInversion) else TextualInversion.load(i) for i in inversions
        ]
        paths = tuple(path.with_inversions(loaded) for path in self.paths)
        for inversion in loaded:
            check_known(inversion, paths)
        return replace(self, paths=paths)

    def report(
        self,
        prompt: str | list[str],
        *,
        negative_prompt: Given = None,
        prompt_2: Given = None,
        prompt_3: Given = None,
        negative_prompt_2: Given = None,
        negative_prompt_3: Given = None,
        max_sequence_length: int | None = None,
        prompt_template: Mapping[str, Any] | None = None,
        image: Pictures = None,
        steps: int | None = None,
        regions: Regions = (),
    ) -> Report:
        """What the encoders would see of the prompts of a call, without running them; all as for a call."""
        texts = self._texts(
            (prompt, prompt_2, prompt_3), (negative_prompt, negative_prompt_2, negative_prompt_3)
        )
        spoken = unfold(texts, self.options.dialect, steps, regions_of(regions, texts))
        paths = self._paths(prompt_template, self._t5_length(max_sequence_length), image)
        return _report(paths, self._read(spoken, paths), spoken.scripts, steps)

    def _texts(self, positive: Sequence[Given], negative: Sequence[Given]) -> Texts:
        return pair_prompts(self.family, positive, negative, zeros=self.zeros)

    def _paths(
        self, prompt_template: Mapping[str, Any] | None, t5_length: int, image: Pictures
    ) -> tuple[TextPath, ...]:
        """The text encoders as one call wants them: their template and pictures, their rows' length, their last layer."""
        if image is not None and not self.family.sees:
            raise ClipcondError(f"image: {self.family.name} reads prompts alone; leave it out")
        paths = [
            path.with_length(t5_length).seeing(image).skipping(self.options.clip_skip)
            for path in self.paths
        ]
        if prompt_template is None:
            return tuple(paths)
        if not self.family.templated:
            raise ClipcondError(
                f"prompt_template: {self.family.name} takes no other template; leave it out"
            )
        template = template_of(prompt_template)
        return tuple(path.with_template(template) for path in paths)

    def _t5_length(self, given: int | None) -> int:
        if given is None:
            return self.family.t5_length
        if not self.family.t5_length:
            raise ClipcondError(
                f"max_sequence_length: {self.family.name} has no T5 whose row length a call chooses; leave it out"
            )
        if given < 2:
            raise ClipcondError(f"max_sequence_length: got {given}; needs at least 2")
        return given

    def _read(self, spoken: Spoken, paths: Sequence[TextPath]) -> dict[str, Sides[list[Reading]]]:
        """Encoder slot -> what it reads."""
        return {
            path.role.slot: read(
                spoken.of(path.role), path.tokenizer_of, self.options.rules(self.family, path.role)
            )
            for path in paths
        }

    def __repr__(self) -> str:
        encoders = ", ".join(f"{p.role.slot} {type(p.encoder.module).__name__}" for p in self.paths)
        return f"Conditioner for {self.family.name}: {encoders}\n{self.options}"


def _report(
    paths: Sequence[TextPath],
    readings: Mapping[str, Sides[list[Reading]]],
    scripts: Scripts,
    steps: int | None,
) -> Report:
    def reports(path: TextPath, side: str) -> tuple[PromptReport, ...]:
        seen = [reading.report for reading in readings[path.role.slot].get(side, ())]
        return told(seen, scripts.get(side, ()), path.role.prompt - 1, steps)

    return Report(
        encoders={
            path.role.slot: EncoderReport(
                prompts=reports(path, POSITIVE), negative_prompts=reports(path, NEGATIVE)
            )
            for path in paths
        }
    )
