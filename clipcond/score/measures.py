"""Named measures beyond the plain score, each as its paper has it, with the gaps of the papers' code closed.

All work on unit float32 features of one CLIP. Where the original divides 0 by 0 there is an error that names the pair.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import cast

import torch
from jaxtyping import Float

from clipcond.clip import split_images
from clipcond.clip.images import Images
from clipcond.errors import ScoreError
from clipcond.score.features import ClipFeatures, Prompts
from clipcond.score.results import Scores
from clipcond.score.variants import CLIP_IQA, DIRECTIONAL, R_PRECISION, REF_CLIPSCORE

_STILL = 1e-6  # a shorter move between unit features is rounding, in float32

# CLIP-IQA's own quality words, and the rest of its published list
QUALITIES: dict[str, tuple[str, str]] = {
    "quality": ("Good photo.", "Bad photo."),
    "brightness": ("Bright photo.", "Dark photo."),
    "noisiness": ("Clean photo.", "Noisy photo."),
    "colorfulness": ("Colorful photo.", "Dull photo."),
    "sharpness": ("Sharp photo.", "Blurry photo."),
    "contrast": ("High contrast photo.", "Low contrast photo."),
    "complexity": ("Complex photo.", "Simple photo."),
    "natural": ("Natural photo.", "Synthetic photo."),
    "happy": ("Happy photo.", "Sad photo."),
    "scary": ("Scary photo.", "Peaceful photo."),
    "new": ("New photo.", "Old photo."),
    "warm": ("Warm photo.", "Cold photo."),
    "real": ("Real photo.", "Abstract photo."),
    "beautiful": ("Beautiful photo.", "Ugly photo."),
    "lonely": ("Lonely photo.", "Sociable photo."),
    "relaxing": ("Relaxing photo.", "Stressful photo."),
}


def ref_clipscore(
    scorer: ClipFeatures, images: Images, prompts: Prompts, references: Sequence[Sequence[str]]
) -> Scores:
    """RefCLIPScore: harmonic mean of CLIPScore and the prompt's best cosine with a reference text.

    Hessel et al. 2021, section 3.1. As there, the reference side is clamped at 0 (the published code leaves that
    out, and gives NaN where both sides are 0; here that is 0).

    Args:
        scorer: whose CLIP compares.
        images: n pictures.
        prompts: n texts, or one for all.
        references: for each picture, at least one text.

    Raises:
        ScoreError: pairs that do not pair, or a picture without reference.
    """
    variant = REF_CLIPSCORE
    items, texts = scorer.pairs(images, prompts)
    if isinstance(references, str) or len(references) != len(items):
        raise ScoreError(
            f"references: got {len(references)} for {len(items)} images; pass a list of texts for each"
        )
    text = scorer.text_features([variant.prefix + t for t in texts])
    by_picture = variant.of_cosine((scorer.image_features(items) * text.features).sum(-1))
    best, cut = [], []
    for index, own in enumerate(references):
        if isinstance(own, str) or not own:
            raise ScoreError(f"references[{index}]: got {own!r}; pass a list of at least one text")
        reference = scorer.text_features([variant.prefix + t for t in own])
        best.append((reference.features @ text.features[index]).max())
        cut.append(reference.truncated.any())
    by_reference = torch.stack(best).clamp(min=0)
    both = by_picture + by_reference
    values = torch.where(both > 0, 2 * by_picture * by_reference / both, torch.zeros_like(both))
    truncated = text.truncated | torch.stack(cut)
    return scorer.scores(values, truncated=truncated, variant=variant, prompts=texts)


def directional(
    scorer: ClipFeatures,
    images: Images,
    prompts: Prompts,
    *,
    source_images: Images,
    source_prompts: Prompts,
) -> Scores:
    """Cosine between how the picture moved and how the text moved: does an edit do what it says.

    Gal et al. 2021, "StyleGAN-NADA"; as evaluated for InstructPix2Pix.

    Raises:
        ScoreError: pairs that do not pair, or a picture or prompt that did not move, which has no direction.
    """
    sources, source_texts = scorer.pairs(source_images, source_prompts)
    targets, texts = scorer.pairs(images, prompts)
    if len(sources) != len(targets):
        raise ScoreError(f"got {len(sources)} source images and {len(targets)} images; pass pairs")
    before, after = scorer.text_features(source_texts), scorer.text_features(texts)
    still = max(_STILL, torch.finfo(scorer.clip.model.dtype).eps)
    moves = scorer.image_features(targets) - scorer.image_features(sources)
    picture = _direction(moves, still, "images", "leave it out")
    text = _direction(after.features - before.features, still, "prompts", "name what changes")
    return scorer.scores(
        (picture * text).sum(-1),
        truncated=before.truncated | after.truncated,
        variant=DIRECTIONAL,
        prompts=texts,
    )


def r_precision(
    scorer: ClipFeatures,
    images: Images,
    prompts: Prompts,
    distractors: Sequence[str] | Sequence[Sequence[str]],
) -> Scores:
    """1 where a picture's own prompt has a higher cosine than every distractor, else 0; the mean is R-precision.

    Xu et al. 2017, "AttnGAN" (with 99 distractors). It depends on which distractors, so their digest is in the
    provenance. A tie is a miss.

    Args:
        scorer: whose CLIP compares.
        images: n pictures.
        prompts: n texts, or one for all.
        distractors: texts for all pictures (a picture's own prompt among them is passed over), or a list for each.

    Raises:
        ScoreError: pairs that do not pair, or a picture left without distractor.
    """
    items, texts = scorer.pairs(images, prompts)
    shared = all(isinstance(entry, str) for entry in distractors)
    if not shared and len(distractors) != len(items):
        raise ScoreError(
            f"distractors: got {len(distractors)} lists for {len(items)} images; pass one list for each, or one of texts"
        )
    lists = cast("Sequence[Sequence[str]]", [distractors] * len(items) if shared else distractors)
    candidates = [[d for d in own if d != text] for own, text in zip(lists, texts, strict=True)]
    for i, rivals_of in enumerate(candidates):
        if not rivals_of:
            raise ScoreError(
                f"distractors: none is left for images[{i}], whose prompt is {texts[i]!r}"
            )
    pictures, own = scorer.image_features(items), scorer.text_features(texts)
    true = (pictures * own.features).sum(-1)
    others = [scorer.text_features(rivals_of) for rivals_of in candidates]
    rivals = torch.stack([
        (other.features @ picture).max() for other, picture in zip(others, pictures, strict=True)
    ])  # fmt: skip
    return scorer.scores(
        (true > rivals).float(),
        truncated=own.truncated | torch.stack([other.truncated.any() for other in others]),
        variant=R_PRECISION,
        prompts=texts,
        candidates=sorted({len(c) + 1 for c in candidates}),
        distractors_sha256=hashlib.sha256(json.dumps(candidates).encode()).hexdigest(),
    )


def iqa(scorer: ClipFeatures, images: Images, quality: str | tuple[str, str] = "quality") -> Scores:
    """CLIP-IQA: the probability that a picture is the first of two opposite texts, softmax(100 cos).

    Wang et al. 2022. As in torchmetrics' with a transformers CLIP; the paper's own takes a ResNet-50 without
    positional embedding, which is another metric under the same name.

    Args:
        scorer: whose CLIP compares.
        images: n pictures.
        quality: a name of `QUALITIES`, or your own (positive, negative) texts.

    Raises:
        ScoreError: an unknown name, or no two texts.
    """
    if isinstance(quality, str) and quality not in QUALITIES:
        raise ScoreError(
            f"quality: got {quality!r}; choose one of {', '.join(QUALITIES)}, or pass (positive, negative)"
        )
    pair = QUALITIES[quality] if isinstance(quality, str) else tuple(quality)
    if len(pair) != 2:
        raise ScoreError(f"quality: got {len(pair)} texts; pass two, (positive, negative)")
    items = split_images(images)
    text = scorer.text_features(pair)
    logits = CLIP_IQA.of_cosine(scorer.image_features(items) @ text.features.T)
    return scorer.scores(
        logits.softmax(-1)[:, 0],
        truncated=text.truncated.any().expand(len(items)),
        variant=CLIP_IQA,
        prompts=[pair[0]] * len(items),
        quality=list(pair),
    )


def _direction(
    moves: Float[torch.Tensor, "n dim"], still: float, name: str, repair: str
) -> Float[torch.Tensor, "n dim"]:
    lengths = moves.norm(dim=-1)
    unmoved = (lengths < still).nonzero().flatten().tolist()
    if unmoved:
        raise ScoreError(
            f"{name}[{unmoved[0]}]: the same as its source to CLIP, so that there is no direction; {repair}"
        )
    directions: torch.Tensor = moves / lengths[:, None]
    return directions
