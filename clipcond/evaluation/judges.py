"""Who judges the pictures of an evaluation, and how a judge is named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

import clipcond
from clipcond import emoji
from clipcond.clip import load_picture
from clipcond.clip.images import Images
from clipcond.emoji.world import SHIPPED
from clipcond.errors import ClipcondError
from clipcond.score import (
    AestheticScorer,
    ClipScorer,
    PictureError,
    PreferenceScorer,
    Scores,
)
from clipcond.score.features import Prompts, paired
from clipcond.score.variants import VARIANTS, Variant, find_variant

ORACLE = "oracle"
_PREFERENCES = ("pickscore", "hpsv2")
_PASSED = Variant(name="oracle", scale=1.0, prefix="", clamp_items=False, clamp_mean=False)


@runtime_checkable
class Judge(Protocol):
    """Whatever scores pairs and says how: ClipScorer, PreferenceScorer, AestheticScorer, Oracle, or your own."""

    @property
    def provenance(self) -> dict[str, Any]:
        """What a score depends on, JSON-able."""
        ...

    def score(self, images: Images, prompts: Prompts) -> Scores:
        """One score a pair, higher is better."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts(Scores):
    """Scores of 1 (as asked) and 0, and for each 0 what is missing.

    Attributes:
        missed: "" where nothing is.
    """

    missed: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Varied:
    """A CLIP that judges by a variant of its score."""

    scorer: ClipScorer
    variant: Variant

    @property
    def provenance(self) -> dict[str, Any]:
        """What a score depends on."""
        return {**self.scorer.provenance, "variant": self.variant.as_dict()}

    def score(self, images: Images, prompts: Prompts) -> Scores:
        """Score picture i against prompt i."""
        return self.scorer.score_as(self.variant, images, prompts)


@dataclass(frozen=True, slots=True)
class Oracle:
    """The emoji world's own: whether a picture of it shows what its caption says.

    Attributes:
        preset: of the world.
    """

    preset: str = SHIPPED

    @property
    def provenance(self) -> dict[str, Any]:
        """What a verdict depends on."""
        return {
            "scorer": "emoji oracle",
            "preset": self.preset,
            "clipcond": clipcond.__version__,
            "variant": _PASSED.as_dict(),
        }

    def score(self, images: Images, prompts: Prompts) -> Verdicts:
        """1 where a picture shows all that its caption says, else 0.

        Raises:
            PictureError: captions or pictures that are not of the emoji world.
        """
        items, texts = paired(images, prompts)
        found: list[emoji.Verdict] = []
        wrong: dict[int, str] = {}
        for place, (item, text) in enumerate(zip(items, texts, strict=True)):
            try:
                found += emoji.verdicts([load_picture(item)], text, self.preset)
            except ClipcondError as error:
                wrong[place] = str(error).splitlines()[0]
        if wrong:
            raise PictureError(wrong)
        return Verdicts(
            values=torch.tensor([float(bool(verdict)) for verdict in found]),
            truncated=torch.zeros(len(found), dtype=torch.bool),
            variant=_PASSED,
            provenance=self.provenance,
            prompts=tuple(texts),
            missed=tuple(", ".join(map(str, verdict.missed)) for verdict in found),
        )


def find_judges(names: Sequence[str], **clip: Any) -> dict[str, Judge]:
    """Judges by what is written for them: [NAME=]SOURCE[@FORMULA].

    Args:
        names: SOURCE is "oracle", or a CLIP as `ClipScorer.from_pretrained` takes it ("emoji" and "judge" are shipped); FORMULA
            is cosine, clipscore, torchmetrics, pickscore, hpsv2, or aesthetic:HEAD with the file of its head; NAME is
            what tables call it: else the source's own name.
        **clip: how CLIPs are loaded, as `ClipScorer.from_pretrained` takes it.

    Raises:
        ClipcondError: no such formula, or two judges of one name.
        CheckpointError: a CLIP that cannot be read.
    """
    found: dict[str, Judge] = {}
    loaded: dict[str, ClipScorer] = {}
    for written in names:
        own, _, source = written.rpartition("=")
        source, _, formula = source.partition("@")
        name = own or (Path(source).name + (f"@{formula.partition(':')[0]}" if formula else ""))
        if name in found or not source:
            raise ClipcondError(
                f"scorer: two are called {name!r}; write NAME={written.rpartition('=')[2]}"
                if source
                else f"scorer: got {written!r}; write [NAME=]SOURCE[@FORMULA]"
            )
        if source == ORACLE:
            found[name] = Oracle()
            continue
        if source not in loaded:
            loaded[source] = ClipScorer.from_pretrained(source, **clip)
        found[name] = _by_formula(loaded[source], formula or "cosine")
    return found


def _by_formula(scorer: ClipScorer, formula: str) -> Judge:
    kind, _, head = formula.partition(":")
    if kind in _PREFERENCES:
        return PreferenceScorer(scorer, kind)
    if kind == "aesthetic" and head:
        return AestheticScorer(scorer, head)
    if kind not in VARIANTS:
        known = ", ".join([*VARIANTS, *_PREFERENCES, "aesthetic:HEAD"])
        raise ClipcondError(f"scorer: got the formula {formula!r}; choose one of {known}")
    return Varied(scorer, find_variant(kind))


def clip_of(judge: object) -> ClipScorer | None:
    """The CLIP that a judge looks with, if it has one."""
    inner = getattr(judge, "scorer", judge)
    return inner if isinstance(inner, ClipScorer) else None


def placed(judges: Mapping[str, Judge], device: torch.device) -> Mapping[str, Judge]:
    """The same judges with their CLIPs on a device."""
    for judge in judges.values():
        scorer = clip_of(judge)
        if scorer is not None:
            scorer.clip.model.to(device)
    return judges
