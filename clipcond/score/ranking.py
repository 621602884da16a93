"""Reranking: the pictures of one prompt, best first (the step that DALL-E's 512 to 32 made known).

The spine is `rerank`: score a batch, keep the best so far, forget the rest. Any number of pictures takes the memory of
one batch and of what is kept, which of files are their paths.
"""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from jaxtyping import Float

from clipcond.clip import load_picture
from clipcond.clip.images import ImageLike
from clipcond.errors import ScoreError
from clipcond.score.candidates import (
    Candidate,
    Candidates,
    Skipped,
    batched,
    listed,
    numbered,
    skipped_of,
)
from clipcond.score.diversity import POOL, spread_out
from clipcond.score.held_out import HeldOut, Running, held_out
from clipcond.score.pictures import PictureError
from clipcond.score.results import Scorer, Scores
from clipcond.score.showing import Ranked

_BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(Ranked):
    """The best pictures, best first; the four sequences go together. A notebook shows the pictures.

    Attributes:
        order: positions in the input.
        seeds: their seeds; positions where none were given.
        scores: their scores, falling (with diversity: not always).
        images: the pictures as they were given.
        considered: how many candidates were scored.
        truncated: whether the prompt was longer than the scorer reads, so that its end did not count.
        skipped: what was passed over in a folder, and under on_error="skip" what could not be scored, with the reason.
        provenance: how the scores were made.
        held_out: what the judge says of the choice; None where there was no judge.
    """

    order: tuple[int, ...]
    seeds: tuple[int, ...]
    scores: Float[torch.Tensor, " kept"]
    images: tuple[ImageLike, ...]
    considered: int
    truncated: bool
    skipped: tuple[Skipped, ...]
    provenance: dict[str, Any] = field(repr=False)
    held_out: HeldOut | None = field(default=None, repr=False)


class _Best:
    """The best candidates so far: higher score, then lower seed, then earlier; at most `size` of them."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self._heap: list[tuple[tuple[float, int, int], Candidate, float]] = []

    def add(self, candidate: Candidate, score: float, judged: float) -> None:
        entry = ((score, -candidate.seed, -candidate.position), candidate, judged)
        if self._size is None or len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
        elif entry[0] > self._heap[0][0]:
            heapq.heapreplace(self._heap, entry)

    def falling(self) -> list[tuple[Candidate, float, float]]:
        """(candidate, score, judge's score), best first."""
        return [(candidate, key[0], judged) for key, candidate, judged in sorted(self._heap)[::-1]]


def rerank(
    images: Candidates,
    prompt: str,
    scorer: Scorer,
    top_k: int | None = None,
    *,
    seeds: Iterable[int] | None = None,
    minimum: float | None = None,
    diversity: float = 0.0,
    judge: Scorer | None = None,
    on_error: str = "raise",
) -> Ranking:
    """Sort pictures by how well they match one prompt.

    The best of many carries the winner's curse: its score is too high an estimate of its quality. Pass a judge,
    another scorer than the one that chooses, to see whether the choice is better to anyone else.

    Args:
        images: n pictures in any form that the scorer takes, a folder (with the folders in it), or a generator of
            pictures, which is read once in batches and never held whole. Files are opened for as long as their batch
            is scored, so a folder takes the memory of one batch with or without top_k.
        prompt: the text to match.
        scorer: what scores.
        top_k: how many to keep, 1..n, and at most that many of a generator; None keeps all.
        seeds: one for each picture; equal scores go to the lower seed, and to the earlier picture without.
        minimum: pictures that score less are dropped, so that fewer than top_k may be left, or none.
        diversity: 0 takes the best; towards 1, the next is the better the less it looks like those taken (maximal
            marginal relevance, Carbonell and Goldstein 1998, among the best 10 top_k). Needs a scorer with
            `image_features`.
        judge: another scorer, which has no say in the choice.
        on_error: what a picture does that cannot be read or scored: "raise", or "skip", which lists it in `skipped`.

    Raises:
        PictureError: a picture that cannot be read or scored; under "skip", when that is true of all.
        ScoreError: top_k, diversity, seeds or on_error out of range, a score that is not finite, or a generator with a
            scorer that must see all candidates at once.

    Warns:
        HeldOutWarning: the choice scores higher than the average candidate, but not to the judge.
    """
    scorers = [scorer] if judge is None else [scorer, judge]
    if on_error not in ("raise", "skip"):
        raise ScoreError(f"on_error: got {on_error!r}; choose raise or skip")
    items, skipped = listed(images, on_error)
    _check_request(items, top_k, seeds=seeds, diversity=diversity, scorers=scorers)
    best = _Best(top_k if top_k is None or not diversity else POOL * top_k)
    source = numbered(cast("Iterator[ImageLike]", images) if items is None else items, seeds)
    reading = _Reading(prompt=prompt, scorers=scorers, on_error=on_error)
    totals, last = _keep_best(best, source, reading, minimum=minimum)
    if reading.refused and not last:
        raise PictureError({candidate.position: why for candidate, why in reading.refused})
    if not last:
        raise ScoreError("images: the generator gave none; pass at least one")
    kept = best.falling()
    if diversity:
        chosen = spread_out([(c.image, score) for c, score, _ in kept], scorer, diversity, top_k)
        kept = [kept[i] for i in chosen]
    return Ranking(
        order=tuple(candidate.position for candidate, _, _ in kept),
        seeds=tuple(candidate.seed for candidate, _, _ in kept),
        scores=torch.tensor([score for _, score, _ in kept], dtype=torch.float32),
        images=tuple(candidate.image for candidate, _, _ in kept),
        considered=totals[0].count,
        truncated=bool(last[0].truncated.any()),
        skipped=(*skipped, *(skipped_of(candidate, why) for candidate, why in reading.refused)),
        provenance=last[0].provenance,
        held_out=held_out(totals, [row[1:] for row in kept], last[1]) if judge and kept else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """How a batch is opened and scored, and what becomes of pictures that cannot be."""

    prompt: str
    scorers: Sequence[Scorer]
    on_error: str
    refused: list[tuple[Candidate, str]] = field(default_factory=list)

    def scored(self, batch: Sequence[Candidate]) -> tuple[list[Candidate], list[Scores]]:
        """(those that can be scored, each scorer's scores of them); their pictures are let go.

        Raises:
            ScoreError: under "raise", a picture that cannot be; its place is that in the whole input.
        """
        read = [(c, picture) for c in batch if (picture := self._opened(c)) is not None]
        while read:
            candidates, pictures = [c for c, _ in read], [picture for _, picture in read]
            try:
                texts = [self.prompt] * len(read)
                found = [scorer.score(pictures, texts) for scorer in self.scorers]
                wrong = self._undefined(candidates, found)
                if not wrong:
                    return candidates, found
            except PictureError as error:
                wrong = error.reasons
            self._refuse([(candidates[i], why) for i, why in wrong.items()])
            read = [each for i, each in enumerate(read) if i not in wrong]
        return [], []

    def _opened(self, candidate: Candidate) -> ImageLike | None:
        """The picture; for scorers that see all at once its file, tried first where it may be skipped."""
        whole = _relative(self.scorers)
        if whole and self.on_error == "raise":
            return candidate.image
        try:
            picture = load_picture(candidate.image)
        except ScoreError as error:
            self._refuse([(candidate, str(error))])
            return None
        return candidate.image if whole else picture

    def _undefined(
        self, candidates: Sequence[Candidate], found: Sequence[Scores]
    ) -> dict[int, str]:
        """Places of scores that are not finite, which only a scorer of someone's own gives."""
        if self.on_error == "raise":
            for scores in found:
                _require_finite(scores.values, candidates)
        return {
            i: f"scored {value}, which cannot be ranked"
            for scores in found
            for i, value in enumerate(scores.values.tolist())
            if not math.isfinite(value)
        }

    def _refuse(self, wrong: Sequence[tuple[Candidate, str]]) -> None:
        if self.on_error == "raise":
            raise PictureError({candidate.position: why for candidate, why in wrong})
        self.refused.extend(wrong)


def _keep_best(
    best: _Best, source: Iterable[Candidate], reading: _Reading, *, minimum: float | None
) -> tuple[list[Running], list[Scores]]:
    """Score batch by batch into `best`; each scorer's running totals, and its scores of the last batch."""
    scorers = reading.scorers
    size = None if _relative(scorers) else getattr(scorers[0], "batch_size", _BATCH)
    totals: list[Running] = [Running() for _ in scorers]
    last: list[Scores] = []
    for batch in batched(source, size):
        candidates, found = reading.scored(batch)
        if not candidates:
            continue
        last = found
        values = [scores.values.tolist() for scores in found]
        for total, column in zip(totals, values, strict=True):
            total.add(column)
        for candidate, score, judged in zip(candidates, values[0], values[-1], strict=True):
            if minimum is None or score >= minimum:
                best.add(candidate, score, judged)
    return totals, last


def _relative(scorers: Sequence[Scorer]) -> bool:
    return any(getattr(scorer, "relative", False) for scorer in scorers)


def _check_request(
    items: Sequence[ImageLike] | None,
    top_k: int | None,
    *,
    seeds: Iterable[int] | None,
    diversity: float,
    scorers: Sequence[Scorer],
) -> None:
    """Refuse what makes no sense before any model runs."""
    _check_top_k(top_k, None if items is None else len(items))
    if not 0 <= diversity <= 1:
        raise ScoreError(f"diversity: got {diversity}; needs 0 to 1")
    if items is not None and isinstance(seeds, Sequence) and len(seeds) != len(items):
        raise ScoreError(f"seeds: got {len(seeds)} for {len(items)} images; pass one for each")
    if items is None and _relative(scorers):
        raise ScoreError(
            "images: got a generator, but scores relative to the other candidates need all of them; pass a list or a "
            "folder, or a scorer that is no mixture"
        )


def _require_finite(values: Float[torch.Tensor, " n"], batch: Sequence[Candidate]) -> None:
    undefined = (~torch.isfinite(values)).nonzero().flatten().tolist()
    if undefined:
        first = values[undefined[0]].item()
        raise ScoreError(
            f"images[{batch[undefined[0]].position}] scored {'NaN' if first != first else first} "
            f"({len(undefined)} of {len(batch)} did); it cannot be ranked: try the scorer in float32"
        )


def _check_top_k(top_k: int | None, available: int | None) -> None:
    if top_k is None:
        return
    limit = "" if available is None else f" to {available}, the number of images"
    if isinstance(top_k, bool) or top_k < 1 or (available is not None and top_k > available):
        raise ScoreError(f"top_k: got {top_k!r}; needs an integer from 1{limit}")
