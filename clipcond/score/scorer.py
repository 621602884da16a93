"""ClipScorer: prompts and pictures to scores that carry how they were made; the face of all measures."""

import copy
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Bool, Float

from clipcond.clip import TextFeatures, load_clip, split_images
from clipcond.clip.images import ImageLike, Images
from clipcond.errors import ScoreError
from clipcond.models import locate
from clipcond.score import measures, variants
from clipcond.score.clauses import ClauseTable, clause_table
from clipcond.score.features import (
    ClipFeatures,
    Prompts,
    checked_texts,
    cut_texts,
    paired,
    warn_of_cut,
)
from clipcond.score.results import Scores
from clipcond.score.variants import Variant, find_variant

_STILL = 1e-6  # a shorter move between unit features is rounding, in float32


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
        resizing: str = "exact",
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
            resizing: "exact" as Pillow, or "fast": by torch, a level or two off on under 1 % of values, and said in provenance.
            quick_gelu: for an OpenCLIP file that does not say.
            device: where the towers run.
            dtype: what they compute in.
            batch_size: pictures or texts a forward, as `ClipScorer` has it.

        Raises:
            CheckpointError: it cannot be read or is no CLIP.
            ScoreError: there is no such crop policy, or way to resize.
        """
        clip = load_clip(
            locate(source),
            # tokenizers keep state: a pipeline's own may be at work elsewhere
            tokenizer=copy.deepcopy(tokenizer),
            crop=crop,
            resizing=resizing,
            quick_gelu=quick_gelu,
            device=device,
            dtype=dtype,
        )
        return cls(clip, batch_size=batch_size)

    def score(self, images: Images, prompts: Prompts, variant: str = "cosine") -> Scores:
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
        return self.score_as(find_variant(variant), images, prompts)

    def score_as(self, variant: Variant, images: Images, prompts: Prompts) -> Scores:
        """The same with a variant of your own."""
        items, texts = paired(images, prompts)
        text = self.text_features([variant.prefix + text for text in texts])
        cosine = measures.cosine(self.image_features(items), text.features)
        return self.scores(
            variant.of_cosine(cosine), truncated=text.truncated, variant=variant, prompts=texts
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
        """RefCLIPScore (`measures.ref_clipscore`), with at least one reference text for each picture.

        Raises:
            ScoreError: pairs that do not pair, or a picture without reference.
        """
        items, texts = paired(images, prompts)
        if isinstance(references, str) or len(references) != len(items):
            raise ScoreError(
                f"references: got {len(references)} for {len(items)} images; pass a list of texts for each"
            )
        for index, own in enumerate(references):
            if isinstance(own, str) or not own:
                raise ScoreError(
                    f"references[{index}]: got {own!r}; pass a list of at least one text"
                )
        prefix = variants.REF_CLIPSCORE.prefix
        text = self.text_features([prefix + t for t in texts])
        others = [self.text_features([prefix + t for t in own]) for own in references]
        return self.scores(
            measures.ref_clipscore(
                self.image_features(items), text.features, [other.features for other in others]
            ),
            truncated=text.truncated | _any_cut(others),
            variant=variants.REF_CLIPSCORE,
            prompts=texts,
        )

    def directional(
        self, source_images: Images, images: Images, source_prompts: Prompts, prompts: Prompts
    ) -> Scores:
        """Directional similarity (`measures.directional`): does an edit do what its prompts say.

        Raises:
            ScoreError: pairs that do not pair, or a picture or prompt that did not move, which has no direction.
        """
        sources, source_texts = paired(source_images, source_prompts)
        targets, texts = paired(images, prompts)
        if len(sources) != len(targets):
            raise ScoreError(
                f"got {len(sources)} source images and {len(targets)} images; pass pairs"
            )
        before, after = self.text_features(source_texts), self.text_features(texts)
        return self.scores(
            measures.directional(
                self.image_features(targets),
                after.features,
                source_pictures=self.image_features(sources),
                source_texts=before.features,
                still=max(_STILL, torch.finfo(self.clip.model.dtype).eps),
            ),
            truncated=before.truncated | after.truncated,
            variant=variants.DIRECTIONAL,
            prompts=texts,
        )

    def r_precision(
        self, images: Images, prompts: Prompts, distractors: Sequence[str] | Sequence[Sequence[str]]
    ) -> Scores:
        """R-precision (`measures.r_precision`): does a picture's own prompt beat all distractors.

        Distractors are texts for all pictures (a picture's own prompt among them is passed over), or a list for each. It
        depends on which, so their digest is in the provenance.

        Raises:
            ScoreError: pairs that do not pair, or a picture left without distractor.
        """
        items, texts = paired(images, prompts)
        rivals = _rivals(texts, distractors)
        pictures, own = self.image_features(items), self.text_features(texts)
        others = [self.text_features(rivals_of) for rivals_of in rivals]
        return self.scores(
            measures.r_precision(pictures, own.features, [other.features for other in others]),
            truncated=own.truncated | _any_cut(others),
            variant=variants.R_PRECISION,
            prompts=texts,
            candidates=sorted({len(rivals_of) + 1 for rivals_of in rivals}),
            distractors_sha256=hashlib.sha256(json.dumps(rivals).encode()).hexdigest(),
        )

    def iqa(self, images: Images, quality: str | tuple[str, str] = "quality") -> Scores:
        """CLIP-IQA (`measures.iqa`) by a name of `measures.QUALITIES`, or your own (positive, negative) texts.

        Raises:
            ScoreError: an unknown name, or no two texts.
        """
        known = measures.QUALITIES
        if isinstance(quality, str) and quality not in known:
            raise ScoreError(
                f"quality: got {quality!r}; choose one of {', '.join(known)}, or pass (positive, negative)"
            )
        pair = known[quality] if isinstance(quality, str) else tuple(quality)
        if len(pair) != 2:
            raise ScoreError(f"quality: got {len(pair)} texts; pass two, (positive, negative)")
        items = split_images(images)
        text = self.text_features(pair)
        return self.scores(
            measures.iqa(self.image_features(items), text.features),
            truncated=text.truncated.any().expand(len(items)),
            variant=variants.CLIP_IQA,
            prompts=[pair[0]] * len(items),
            quality=list(pair),
        )

    def clauses(self, image: ImageLike, prompt: str, null: Sequence[str]) -> ClauseTable:
        """Which part of a prompt is missing; see `clipcond.score.clauses.clause_table`."""
        return clause_table(self, image, prompt, null)


def _rivals(
    texts: Sequence[str], distractors: Sequence[str] | Sequence[Sequence[str]]
) -> list[list[str]]:
    """Each picture's distractors, its own prompt left out.

    Raises:
        ScoreError: not as many lists as pictures, or none left for one.
    """
    shared = all(isinstance(entry, str) for entry in distractors)
    if not shared and len(distractors) != len(texts):
        raise ScoreError(
            f"distractors: got {len(distractors)} lists for {len(texts)} images; pass one list for each, or one of texts"
        )
    lists = cast("Sequence[Sequence[str]]", [distractors] * len(texts) if shared else distractors)
    found = [[d for d in own if d != text] for own, text in zip(lists, texts, strict=True)]
    for i, own in enumerate(found):
        if not own:
            raise ScoreError(
                f"distractors: none is left for images[{i}], whose prompt is {texts[i]!r}"
            )
    return found


def _any_cut(found: Sequence[TextFeatures]) -> Bool[torch.Tensor, " n"]:
    """Whether any text of each was cut."""
    return torch.stack([each.truncated.any() for each in found])
