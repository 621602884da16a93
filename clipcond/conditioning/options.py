"""The options of a `Conditioner`: where they are named, explained, checked and turned into what they stand for."""

from dataclasses import dataclass, field
from typing import TypedDict

from clipcond.conditioning.cache import EmbeddingCache
from clipcond.conditioning.pooling import Pooling, pooling_named
from clipcond.conditioning.rules import Rules
from clipcond.errors import ClipcondError
from clipcond.families.contract import Family, Role
from clipcond.prompt import check_dialect
from clipcond.tokens import policy_named
from clipcond.weighting import Mode, check_normalization, mode_named


class OptionArguments(TypedDict, total=False):
    """The options of a `Conditioner`, for functions that take them by name; `Options` explains them."""

    dialect: str
    weighting: str
    long_prompt: str
    pooled: str
    clip_skip: int | float | None
    cache: EmbeddingCache | None
    normalization: str
    memory_limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a `Conditioner` reads, weighs and encodes.

    Attributes:
        dialect: how prompts are read: "a1111", "a1111+", "comfy", "compel" or "plain".
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
        mode: what `weighting` names.
        pooling: what `pooled` names.

    Raises:
        ClipcondError: one names what there is not; the message names what there is.
    """

    dialect: str = "a1111"
    weighting: str = "comfy"
    long_prompt: str = "a1111"
    pooled: str = "first"
    clip_skip: int | float | None = None
    cache: EmbeddingCache | None = None
    normalization: str = "none"
    memory_limit: int = 1 << 30
    mode: Mode = field(init=False, repr=False, compare=False)
    pooling: Pooling = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_dialect(self.dialect)
        policy_named(self.long_prompt)
        check_normalization(self.normalization)
        object.__setattr__(self, "mode", mode_named(self.weighting))
        object.__setattr__(self, "pooling", pooling_named(self.pooled))

    @classmethod
    def of(cls, arguments: OptionArguments) -> "Options":
        """The options of a call.

        Raises:
            ClipcondError: one that does not exist, or names what does not; the message names those that do.
        """
        for name in arguments:
            if name not in OptionArguments.__annotations__:
                known = ", ".join(OptionArguments.__annotations__)
                raise ClipcondError(f"no option {name!r}; there are {known}")
        return cls(**arguments)

    def rules(self, family: Family, role: Role) -> Rules:
        """How one of a family's encoders reads prompts.

        The policy "error" is about what the denoiser reads word by word: a pooled vector alone speaks of what fits, as in
        the pipelines, and what does not is said.
        """
        long_prompt = self.long_prompt
        if family.fixed and long_prompt != "truncate":
            long_prompt = "error"
        if long_prompt == "error" and not role.sequence:
            long_prompt = "truncate"
        return Rules(
            dialect=self.dialect,
            long_prompt=long_prompt,
            policy=policy_named(long_prompt),
            weighting=self.weighting,
            least=self.mode.least,
            normalization=self.normalization,
            clean=family.clean,
            negative_clean=family.negative_clean or family.clean,
        )

    @property
    def settings(self) -> dict[str, str | int | float | None]:
        """By their names, for a record of how something was made; without the cache, on which no result depends."""
        return {
            name: getattr(self, name) for name in OptionArguments.__annotations__ if name != "cache"
        }

    def __str__(self) -> str:
        shown = {**self.settings, "cache": self.cache}
        return ", ".join(f"{name}={value!r}" for name, value in shown.items())
