"""ClipScorer: prompts and pictures to scores that carry how they were made; the face of all measures."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float

from clipcond.clip import load_clip
from clipcond.clip.images import ImageLike, Images
from clipcond.models import locate
from clipcond.score import measures
from clipcond.score.clauses import ClauseTable, clause_table
from clipcond.score.features import ClipFeatures, Prompts, checked_texts, cut_texts, warn_of_cut
from clipcond.score.results import Scores
from clipcond.score.variants import find_variant


class ClipScorer(ClipFeatures):
    """Scores pictures against prompts with one CLIP. Features of the last 4,096 texts are kept. Safe from any thread.

    Args:
        clip: the loaded checkpoint.
        batch_size: pictures or texts a forward. In float32 on a CPU scores do not depend on it beyond 1e-6; in half
            precision, within that precision's rounding.
    """

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        tokenizer: Any = None,
        crop: str | None = None,
        quick_gelu: bool | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        batch_size: int = 32,
    ) -> "ClipScorer":
        """Load a CLIP: transformers' folder, one that holds one in clip/, a hub id, OpenCLIP's or OpenAI's file.

        Args:
            source: "emoji" for the shipped one, or as `clipcond.clip.load_clip` takes it, as the next three.
            tokenizer: for a file that has none beside it.
            crop: of pictures that are not square: "center", "squash", "pad" or "multi"; None as the checkpoint asks for.
            quick_gelu: for an OpenCLIP file that does not say.
            device: where the towers run.
            dtype: what they compute in.
            batch_size: pictures or texts a forward, as `ClipScorer` has it.

        Raises:
            CheckpointError: it cannot be read or is no CLIP.
            ScoreError: there is no such crop policy.
        """
        clip = load_clip(
            locate(source),
            tokenizer=copy.deepcopy(
                tokenizer
            ),  # tokenizers keep state: a pipeline's own may be at work elsewhere
            crop=crop,
            quick_gelu=quick_gelu,
            device=device,
            dtype=dtype,
        )
        return cls(clip, batch_size=batch_size)

    def score(
        self,
        images: Images,
        prompts: Prompts,
        variant: str = "cosine",
    ) -> Scores:
        """Score picture i against prompt i; one prompt as a plain string goes with every picture.

        Args:
            images: n pictures: PIL, numpy uint8 HWC, torch CHW uint8 or float in 0..1, paths, or a batch of them.
                Transparent pictures are composited on white, EXIF orientation is applied.
            prompts: n texts, or one. Texts over the tower's length are cut before EOS and reported as truncated.
            variant: "cosine" (as clip-score 0.2), "clipscore" (2.5 max(cos, 0), prefix "A photo depicts") or
                "torchmetrics" (100 cos).

        Raises:
            ScoreError: pictures that are none, as many prompts as pictures not given, or an unknown variant.
        """
        chosen = find_variant(variant)
        items, texts = self.pairs(images, prompts)
        text = self.text_features([chosen.prefix + text for text in texts])
        cosine = (self.image_features(items) * text.features).sum(dim=-1)
        return self.scores(
            chosen.of_cosine(cosine), truncated=text.truncated, variant=chosen, prompts=texts
        )

    def similarity(self, images: Images, prompts: Prompts) -> Float[torch.Tensor, "images prompts"]:
        """Cosine of every picture with every prompt, float32.

        Raises:
            ScoreError: pictures or prompts that are none.

        Warns:
            ScoreTruncatedWarning: a prompt is longer than the text tower reads.
        """
        texts = checked_texts([prompts] if isinstance(prompts, str) else prompts)
        text = self.text_features(texts)
        warn_of_cut(cut_texts(texts, text), self.clip.positions, stacklevel=2)
        return self.image_features(images) @ text.features.T

    def ref_clipscore(
        self, images: Images, prompts: Prompts, references: Sequence[Sequence[str]]
    ) -> Scores:
        """RefCLIPScore; see `clipcond.score.measures.ref_clipscore`."""
        return measures.ref_clipscore(self, images, prompts, references)

    def directional(
        self, source_images: Images, images: Images, source_prompts: Prompts, prompts: Prompts
    ) -> Scores:
        """Directional similarity of an edit; see `clipcond.score.measures.directional`."""
        return measures.directional(
            self, images, prompts, source_images=source_images, source_prompts=source_prompts
        )

    def r_precision(
        self,
        images: Images,
        prompts: Prompts,
        distractors: Sequence[str] | Sequence[Sequence[str]],
    ) -> Scores:
        """Whether the true prompt beats the distractors; see `clipcond.score.measures.r_precision`."""
        return measures.r_precision(self, images, prompts, distractors)

    def iqa(self, images: Images, quality: str | tuple[str, str] = "quality") -> Scores:
        """CLIP-IQA; see `clipcond.score.measures.iqa`."""
        return measures.iqa(self, images, quality)

    def clauses(self, image: ImageLike, prompt: str, null: Sequence[str]) -> ClauseTable:
        """Which part of a prompt is missing; see `clipcond.score.clauses.clause_table`."""
        return clause_table(self, image, prompt, null)
