"""ClipScorer: prompts and pictures to scores that carry how they were made.

Features are normalised and multiplied in float32 whatever the towers compute in: one step of a bfloat16 cosine
near 0.3 is 0.2 points on the usual hundred-point scale, more than many published differences.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL
import torch
import transformers
from jaxtyping import Bool, Float

import clipcond
from clipcond.clip import Clip, load_clip, load_picture, split_images
from clipcond.clip.images import ImageLike, Images
from clipcond.errors import ScoreError
from clipcond.score.variants import Variant, find_variant

if TYPE_CHECKING:
    Prompts = str | Sequence[str]
else:  # checked below, with messages of our own also where annotations are executed
    Prompts = object


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of image-prompt pairs.

    Attributes:
        values: one score a pair, in the variant's scale.
        truncated: whether the pair's prompt was longer than the text tower reads, so that its end did not count.
        variant: how the cosine became a score.
        provenance: weights digest, checkpoint name, preprocessing, crop, dtype, versions, variant; JSON-able.
    """

    values: Float[torch.Tensor, " n"]
    truncated: Bool[torch.Tensor, " n"]
    variant: Variant
    provenance: dict[str, Any] = field(repr=False)

    def mean(self) -> float:
        """The mean score, clamped at 0 where the variant does so."""
        mean = self.values.double().mean().item()
        return max(mean, 0.0) if self.variant.clamp_mean else mean

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.values)


class ClipScorer:
    """Scores pictures against prompts with one CLIP.

    Args:
        clip: the loaded checkpoint.
        batch_size: pictures or texts a forward; results do not depend on it.
    """

    def __init__(self, clip: Clip, *, batch_size: int = 32) -> None:
        if batch_size < 1:
            raise ScoreError(f"batch_size: got {batch_size}; needs at least 1")
        self.clip = clip
        self.batch_size = batch_size

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        batch_size: int = 32,
    ) -> "ClipScorer":
        """Load a transformers CLIP folder, a folder that holds one in clip/, or a hub id.

        Raises:
            CheckpointError: the folder cannot be read or is no CLIP.
        """
        return cls(load_clip(folder, device=device, dtype=dtype), batch_size=batch_size)

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
            variant: "cosine", "clipscore" (2.5 max(cos, 0), prefix "A photo depicts") or "torchmetrics" (100 cos).

        Raises:
            ScoreError: pictures that are none, as many prompts as pictures not given, or an unknown variant.
        """
        chosen = find_variant(variant)
        items = split_images(images)
        texts = _checked_texts([prompts] * len(items) if isinstance(prompts, str) else prompts)
        if len(texts) != len(items):
            raise ScoreError(
                f"got {len(items)} images and {len(texts)} prompts; "
                "score takes pairs (similarity compares each with each)"
            )
        text_features, truncated = self._texts([chosen.prefix + text for text in texts])
        cosine = (self._pictures(items) * text_features).sum(dim=-1)
        return Scores(
            values=chosen.of_cosine(cosine),
            truncated=truncated,
            variant=chosen,
            provenance={**self.provenance, "variant": chosen.as_dict()},
        )

    def similarity(self, images: Images, prompts: Prompts) -> Float[torch.Tensor, "images prompts"]:
        """Cosine of every picture with every prompt, float32.

        Raises:
            ScoreError: pictures or prompts that are none.
        """
        texts = _checked_texts([prompts] if isinstance(prompts, str) else prompts)
        text_features, _ = self._texts(texts)
        return self._pictures(split_images(images)) @ text_features.T

    @property
    def text_tower(self) -> torch.nn.Module:
        """The text transformer, to tell whether it also conditioned a picture."""
        return self.clip.model.text_model

    @property
    def provenance(self) -> dict[str, Any]:
        """What a number from this scorer depends on, JSON-able."""
        height, width = self.clip.preprocessing.crop
        return {
            "scorer": self.clip.name,
            "weights_sha256": self.clip.digest,
            "preprocessing": self.clip.preprocessing.as_dict(),
            "crop": f"centre {height} x {width}",
            "text_positions": self.clip.positions,
            "dtype": str(self.clip.model.dtype).removeprefix("torch."),
            "versions": {
                "clipcond": clipcond.__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "pillow": PIL.__version__,
            },
        }

    def _texts(
        self, texts: Sequence[str]
    ) -> tuple[Float[torch.Tensor, "n dim"], Bool[torch.Tensor, " n"]]:
        """Unit features in float32 on the CPU; a text that repeats is encoded once."""
        distinct = list(dict.fromkeys(texts))
        parts = [self.clip.encode_texts(batch) for batch in self._batches(distinct)]
        features = _unit(torch.cat([part.features for part in parts]))
        truncated = torch.cat([part.truncated for part in parts])
        row = {text: i for i, text in enumerate(distinct)}
        rows = torch.tensor([row[text] for text in texts])
        return features[rows], truncated[rows]

    def _pictures(self, items: Sequence[ImageLike]) -> Float[torch.Tensor, "n dim"]:
        parts = [
            self.clip.encode_pictures([_nth_picture(i, item) for i, item in batch])
            for batch in self._batches(list(enumerate(items)))
        ]
        return _unit(torch.cat(parts))

    def _batches(self, items: Sequence[Any]) -> Iterator[Sequence[Any]]:
        for start in range(0, len(items), self.batch_size):
            yield items[start : start + self.batch_size]


def _unit(features: Float[torch.Tensor, "n dim"]) -> Float[torch.Tensor, "n dim"]:
    return torch.nn.functional.normalize(features.float().cpu(), dim=-1)


def _nth_picture(index: int, item: ImageLike) -> Any:
    try:
        return load_picture(item)
    except ScoreError as error:
        raise ScoreError(f"images[{index}]: {error}") from error


def _checked_texts(prompts: Prompts) -> list[str]:
    if not isinstance(prompts, list | tuple) or not prompts:
        raise ScoreError(f"prompts: got {prompts!r}; pass a string or a list of strings")
    for index, text in enumerate(prompts):
        if not isinstance(text, str):
            raise ScoreError(f"prompts[{index}]: got {text!r}; a prompt is a string")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ScoreError(
                f"prompts[{index}]: holds half of a surrogate pair, which is no character; decode it as UTF-8"
            ) from None
    return list(prompts)
