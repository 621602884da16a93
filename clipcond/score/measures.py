"""Named measures, each as its paper has it, with the gaps of the papers' code closed.

Unit float32 features of one CLIP in, a number for each picture out; `ClipScorer` makes the features and says how. Where the
original divides 0 by 0 there is an error that names the pair.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float

from clipcond.errors import ScoreError
from clipcond.score.variants import CLIP_IQA, REF_CLIPSCORE

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


def cosine(
    pictures: Float[torch.Tensor, "n dim"], texts: Float[torch.Tensor, "n dim"]
) -> Float[torch.Tensor, " n"]:
    """Of each picture with its own text."""
    return (pictures * texts).sum(dim=-1)


def ref_clipscore(
    pictures: Float[torch.Tensor, "n dim"],
    texts: Float[torch.Tensor, "n dim"],
    references: Sequence[Float[torch.Tensor, "_ dim"]],
) -> Float[torch.Tensor, " n"]:
    """RefCLIPScore: harmonic mean of CLIPScore and the prompt's best cosine with one of its reference texts.

    Hessel et al. 2021, section 3.1. As there, the reference side is clamped at 0 (the published code leaves that
    out, and gives NaN where both sides are 0; here that is 0).
    """
    by_picture = REF_CLIPSCORE.of_cosine(cosine(pictures, texts))
    best = [(own @ text).max() for own, text in zip(references, texts, strict=True)]
    by_reference = torch.stack(best).clamp(min=0)
    both = by_picture + by_reference
    return torch.where(both > 0, 2 * by_picture * by_reference / both, torch.zeros_like(both))


def directional(
    pictures: Float[torch.Tensor, "n dim"],
    texts: Float[torch.Tensor, "n dim"],
    *,
    source_pictures: Float[torch.Tensor, "n dim"],
    source_texts: Float[torch.Tensor, "n dim"],
    still: float,
) -> Float[torch.Tensor, " n"]:
    """Cosine between how the picture moved and how the text moved: does an edit do what it says.

    Gal et al. 2021, "StyleGAN-NADA"; as evaluated for InstructPix2Pix. A move shorter than `still` is rounding.

    Raises:
        ScoreError: a picture or text did not move, so that there is no direction.
    """
    picture = _direction(pictures - source_pictures, still, "images", "leave it out")
    text = _direction(texts - source_texts, still, "prompts", "name what changes")
    return cosine(picture, text)


def r_precision(
    pictures: Float[torch.Tensor, "n dim"],
    texts: Float[torch.Tensor, "n dim"],
    distractors: Sequence[Float[torch.Tensor, "_ dim"]],
) -> Float[torch.Tensor, " n"]:
    """1 where a picture's own text has a higher cosine than every distractor, else 0; the mean is R-precision.

    Xu et al. 2017, "AttnGAN" (with 99 distractors). A tie is a miss.
    """
    rivals = [(own @ picture).max() for own, picture in zip(distractors, pictures, strict=True)]
    return (cosine(pictures, texts) > torch.stack(rivals)).float()


def iqa(
    pictures: Float[torch.Tensor, "n dim"], pair: Float[torch.Tensor, "2 dim"]
) -> Float[torch.Tensor, " n"]:
    """CLIP-IQA: the probability that a picture is the first of two opposite texts, softmax(100 cos).

    Wang et al. 2022. As in torchmetrics' with a transformers CLIP; the paper's own takes a ResNet-50 without
    positional embedding, which is another metric under the same name.
    """
    return CLIP_IQA.of_cosine(pictures @ pair.T).softmax(-1)[:, 0]


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
