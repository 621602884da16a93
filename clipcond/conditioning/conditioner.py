"""`Conditioner`: prompts in, `Conditioning` out. Its call is the library's spine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clipcond.conditioning.cache import EmbeddingCache
from clipcond.conditioning.encoding import check_finite, encode
from clipcond.conditioning.plan import POOLED
from clipcond.conditioning.reading import Reading, Rules, read
from clipcond.conditioning.report import Report
from clipcond.conditioning.texts import Texts, pair_prompts
from clipcond.conditioning.value import Conditioning, Stats
from clipcond.encoders import TextualInversion, fingerprint, lora_scaled
from clipcond.errors import ClipcondError
from clipcond.families.contract import Family
from clipcond.families.folder import Source
from clipcond.families.inputs import NEGATIVE, POSITIVE, Encoded, Inputs, Results
from clipcond.families.loading import paths_of_folder, paths_of_pipeline
from clipcond.families.templates import template_of
from clipcond.families.text_path import TextPath, check_clip_skip, check_known
from clipcond.prompt import check_dialect
from clipcond.tokens import policy_named
from clipcond.weighting import check_normalization, mode_named


@dataclass(frozen=True, slots=True, eq=False)
class Conditioner:
    """Turns prompts into what a denoiser reads, with a pipeline's own tokenizers and text encoders.

    Make one with `from_pipeline` or `from_pretrained`. It changes nothing on the pipeline.

    Attributes:
        family: the pipelines its results are for.
        paths: the family's text encoders with their tokenizers.
        width: of the denoiser's text states; 0 where the pipeline has text encoders only.
        zeros: whether a negative prompt of None is zeros (SDXL's force_zeros_for_empty_prompt).
        dialect: how prompts are read: "a1111", "comfy", "compel" or "plain".
        weighting: how weights act: a key of `clipcond.weighting.MODES`.
        long_prompt: what happens beyond an encoder's length: "a1111", "comfy" or "sentence" (several windows),
            "truncate" or "error".
        pooled: which windows the pooled vector speaks of: "first", "last", "mean", or "weighted" (the first, with
            weights, as far as the mode moves the end of text).
        clip_skip: how many of CLIP's layers to leave out at the end, as diffusers counts them (0 and None: none;
            AUTOMATIC1111's "clip skip" is one more); a fraction lies between two layers. Acts on the negative prompt too.
        cache: of what the encoders gave before.
        normalization: of the weights: "none", "mean", "length" or "length+mean".
        memory_limit: bytes of activations, about, that one forward may take; more rows go in several.
    """

    family: Family
    paths: tuple[TextPath, ...]
    width: int
    zeros: bool = False
    dialect: str = "a1111"
    weighting: str = "comfy"
    long_prompt: str = "a1111"
    pooled: str = "first"
    clip_skip: int | float | None = None
    cache: EmbeddingCache | None = None
    normalization: str = "none"
    memory_limit: int = 1 << 30

    def __post_init__(self) -> None:
        check_dialect(self.dialect)
        mode_named(self.weighting)
        policy_named(self.long_prompt)
        check_normalization(self.normalization)
        if self.pooled not in POOLED:
            raise ClipcondError(f"no pooled policy {self.pooled!r}; there are {', '.join(POOLED)}")
        check_clip_skip(self.clip_skip, self.paths, self.family)

    @classmethod
    def from_pipeline(
        cls,
        pipe: Any,
        *,
        dialect: str = "a1111",
        weighting: str = "comfy",
        long_prompt: str = "a1111",
        pooled: str = "first",
        clip_skip: int | float | None = None,
        cache: EmbeddingCache | None = None,
        normalization: str = "none",
        memory_limit: int = 1 << 30,
    ) -> "Conditioner":
        """Condition for a diffusers pipeline object, sharing its tokenizers and text encoders.

        Args:
            pipe: of one of the families of docs/pipelines.md, in any of their variants (image to image, inpainting,
                ControlNet, LCM, ...).
            dialect: see the class, as for the others.
            weighting: what weights do.
            long_prompt: what happens beyond an encoder's length.
            pooled: which windows the pooled vector speaks of.
            clip_skip: how many of CLIP's layers to leave out.
            cache: of what the encoders gave before.
            normalization: of the weights.
            memory_limit: bytes of activations, about, that one forward may take.

        Raises:
            UnsupportedPipelineError: another kind of pipeline; the message names those supported.
            ClipcondError: an option that does not exist; the message names those that do.
        """
        return cls(
            *paths_of_pipeline(pipe),
            dialect=dialect,
            weighting=weighting,
            long_prompt=long_prompt,
            pooled=pooled,
            clip_skip=clip_skip,
            cache=cache,
            normalization=normalization,
            memory_limit=memory_limit,
        )

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        tokenizer: Any = None,
        variant: str | None = None,
        revision: str | None = None,
        subfolder: str = "",
        dialect: str = "a1111",
        weighting: str = "comfy",
        long_prompt: str = "a1111",
        pooled: str = "first",
        clip_skip: int | float | None = None,
        cache: EmbeddingCache | None = None,
        normalization: str = "none",
        memory_limit: int = 1 << 30,
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
            dialect: see the class, as for the others.
            weighting: what weights do.
            long_prompt: what happens beyond an encoder's length.
            pooled: which windows the pooled vector speaks of.
            clip_skip: how many of CLIP's layers to leave out.
            cache: of what the encoders gave before.
            normalization: of the weights.
            memory_limit: bytes of activations, about, that one forward may take.

        Raises:
            CheckpointError: it cannot be read.
            UnsupportedPipelineError: it holds another kind of pipeline.
            ClipcondError: an option that does not exist.
        """
        return cls(
            *paths_of_folder(
                Source(place=folder, variant=variant, revision=revision, subfolder=subfolder),
                tokenizer,
            ),
            dialect=dialect,
            weighting=weighting,
            long_prompt=long_prompt,
            pooled=pooled,
            clip_skip=clip_skip,
            cache=cache,
            normalization=normalization,
            memory_limit=memory_limit,
        )

    def __call__(
        self,
        prompt: str | list[str],
        *,
        negative_prompt: str | list[str] | None = None,
        prompt_2: str | list[str] | None = None,
        prompt_3: str | list[str] | None = None,
        negative_prompt_2: str | list[str] | None = None,
        negative_prompt_3: str | list[str] | None = None,
        lora_scale: int | float | None = None,
        max_sequence_length: int | None = None,
        prompt_template: Mapping[str, Any] | None = None,
    ) -> Conditioning:
        """Condition one or several prompts, in one forward of each text encoder.

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

        Raises:
            PromptSyntaxError: a prompt that its dialect cannot mean, or weights too large for the encoder's dtype.
            PromptTooLongError: one is too long, under the policy "error".
            ClipcondError: a prompt for an encoder that the family has not, or another number of them.

        Warns:
            PromptCutWarning: words were dropped, under the policy "truncate".
        """
        texts = pair_prompts(
            self.family,
            (prompt, prompt_2, prompt_3),
            (negative_prompt, negative_prompt_2, negative_prompt_3),
            zeros=self.zeros,
        )
        t5_length = self._t5_length(max_sequence_length)
        paths = self._paths(prompt_template)
        readings = self._read(texts, t5_length, paths)
        with lora_scaled([path.encoder.module for path in paths], lora_scale):
            results, stats = encode(
                [path.skipping(self.clip_skip) for path in paths],
                readings,
                mode=mode_named(self.weighting),
                pooled=self.pooled,
                t5_length=t5_length,
                memory_limit=self.memory_limit,
                cache=self.cache,
                count=len(texts.positive[0]),
            )
        sides = self._inputs(texts, results, next(iter(readings.values())), t5_length)
        if texts.zeros:
            sides[NEGATIVE] = sides[POSITIVE].zeros()
        return Conditioning(
            **{name: t for side, inputs in sides.items() for name, t in inputs.named(side)},
            negative_given=texts.negative_given,
            stats=Stats(stats),
            report=texts.report(readings),
            family=self.family.name,
            fingerprints={path.role.slot: fingerprint(path.encoder.module) for path in self.paths},
        )

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
        negative_prompt: str | list[str] | None = None,
        prompt_2: str | list[str] | None = None,
        prompt_3: str | list[str] | None = None,
        negative_prompt_2: str | list[str] | None = None,
        negative_prompt_3: str | list[str] | None = None,
        max_sequence_length: int | None = None,
        prompt_template: Mapping[str, Any] | None = None,
    ) -> Report:
        """What the encoders would see of the prompts of a call, without running them; all as for a call."""
        texts = pair_prompts(
            self.family,
            (prompt, prompt_2, prompt_3),
            (negative_prompt, negative_prompt_2, negative_prompt_3),
            zeros=self.zeros,
        )
        t5_length = self._t5_length(max_sequence_length)
        return texts.report(self._read(texts, t5_length, self._paths(prompt_template)))

    def _paths(self, prompt_template: Mapping[str, Any] | None) -> tuple[TextPath, ...]:
        if prompt_template is None:
            return self.paths
        if not self.family.templated:
            raise ClipcondError(
                f"prompt_template: {self.family.name} takes no other template; leave it out"
            )
        template = template_of(prompt_template)
        return tuple(path.with_template(template) for path in self.paths)

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

    def _inputs(
        self, texts: Texts, results: Mapping[str, Encoded], read_here: list[Reading], t5_length: int
    ) -> dict[str, Inputs]:
        """What the denoiser reads, of each side."""
        sides: dict[str, Inputs] = {}
        for side, prompts in texts.parts.items():
            encoders = {slot: encoded.part(prompts) for slot, encoded in results.items()}
            inputs = self.family.assemble(
                Results(encoders=encoders, width=self.width, t5_length=t5_length)
            )
            for embeds in (inputs.embeds, inputs.embeds_2):
                if embeds is not None:
                    check_finite(embeds, read_here[prompts])
            sides[side] = inputs
        return dict(self.family.finish(sides))

    def _read(
        self, texts: Texts, t5_length: int, paths: Sequence[TextPath]
    ) -> dict[str, list[Reading]]:
        """Encoder slot -> the positive prompts it reads, then the negative ones."""
        too_long = self.family.fixed and self.long_prompt != "truncate"
        rules = Rules(
            dialect=self.dialect,
            long_prompt="error" if too_long else self.long_prompt,
            weighting=self.weighting,
            normalization=self.normalization,
            clean=self.family.clean,
        )
        return {
            path.role.slot: read(
                texts.of(path.role),
                path.tokenizer_for(t5_length),
                rules.for_encoder(sequence=path.role.sequence),
            )
            for path in paths
        }
