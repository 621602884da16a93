"""ClipScorer: prompts and pictures to scores that carry how they were made.

Features are normalised and multiplied in float32 whatever the towers compute in: one step of a bfloat16 cosine
near 0.3 is 0.2 points on the usual hundred-point scale, more than many published differences.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL
import torch
import transformers
from jaxtyping import Bool, Float

import clipcond
from clipcond.clip import Clip, TextFeatures, load_clip, load_picture, split_images
from clipcond.clip.images import ImageLike, Images
from clipcond.errors import ScoreError
from clipcond.score import measures
from clipcond.score.clauses import ClauseTable, clause_table
from clipcond.score.results import Scores
from clipcond.score.variants import Variant, find_variant

if TYPE_CHECKING:
    Prompts = str | Sequence[str]
else:  # checked below, with messages of our own also where annotations are executed
    Prompts = object

_CACHED_TEXTS = 4096  # 12 MB at 768 dimensions


class ClipScorer:
    """Scores pictures against prompts with one CLIP. Features of the last 4,096 texts are kept.

    Args:
        clip: the loaded checkpoint.
        batch_size: pictures or texts a forward; results do not depend on it.
    """

    def __init__(self, clip: Clip, *, batch_size: int = 32) -> None:
        if batch_size < 1:
            raise ScoreError(f"batch_size: got {batch_size}; needs at least 1")
        self.clip = clip
        self.batch_size = batch_size
        self._known: OrderedDict[str, tuple[torch.Tensor, bool]] = OrderedDict()

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
            source: as `clipcond.clip.load_clip` takes it, as the next three.
            tokenizer: for a file that has none beside it.
            crop: of pictures that are not square: "center", "squash", "pad" or "multi"; None as the checkpoint asks for.
            quick_gelu: for an OpenCLIP file that does not say.
            device: where the towers run.
            dtype: what they compute in.
            batch_size: pictures or texts a forward; results do not depend on it.

        Raises:
            CheckpointError: it cannot be read or is no CLIP.
            ScoreError: there is no such crop policy.
        """
        clip = load_clip(
            source,
            tokenizer=tokenizer,
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
        """
        texts = checked_texts([prompts] if isinstance(prompts, str) else prompts)
        return self.image_features(images) @ self.text_features(texts).features.T

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

    def image_features(self, images: Images) -> Float[torch.Tensor, "n dim"]:
        """Unit features of pictures, float32 on the CPU.

        Raises:
            ScoreError: pictures that are none; the message says which.
        """
        items = list(enumerate(split_images(images)))
        return _unit(torch.cat([
            self.clip.encode_pictures([_nth_picture(i, item) for i, item in batch])
            for batch in _batches(items, self.batch_size)
        ]))  # fmt: skip

    def text_features(self, texts: Sequence[str]) -> TextFeatures:
        """Unit features of texts, float32 on the CPU, and which were cut; a text that repeats is encoded once.

        Raises:
            ScoreError: texts that are none.
        """
        texts = checked_texts(texts)
        found = {text: self._known[text] for text in dict.fromkeys(texts) if text in self._known}
        missing = sorted({text for text in texts if text not in found}, key=len)
        for batch in _batches(missing, self.batch_size):
            encoded = self.clip.encode_texts(batch)
            rows = zip(_unit(encoded.features), encoded.truncated.tolist(), strict=True)
            found.update(zip(batch, ((row.clone(), cut) for row, cut in rows), strict=True))
        self._remember(found)
        return TextFeatures(
            features=torch.stack([found[text][0] for text in texts]),
            truncated=torch.tensor([found[text][1] for text in texts]),
        )

    def pairs(self, images: Images, prompts: Prompts) -> tuple[list[ImageLike], list[str]]:
        """As many texts as pictures, one string going with all.

        Raises:
            ScoreError: they do not pair.
        """
        items = split_images(images)
        texts = checked_texts([prompts] * len(items) if isinstance(prompts, str) else prompts)
        if len(texts) != len(items):
            raise ScoreError(
                f"got {len(items)} images and {len(texts)} prompts; "
                "score takes pairs (similarity compares each with each)"
            )
        return items, texts

    def scores(
        self,
        values: Float[torch.Tensor, " n"],
        *,
        truncated: Bool[torch.Tensor, " n"],
        variant: Variant,
        prompts: Sequence[str] = (),
        **made: Any,
    ) -> Scores:
        """Values with this scorer's provenance; `made` says what else they depend on."""
        return Scores(
            values=values,
            truncated=truncated,
            variant=variant,
            provenance={**self.provenance, "variant": variant.as_dict(), **made},
            prompts=tuple(prompts),
        )

    @property
    def text_tower(self) -> torch.nn.Module:
        """The text transformer, to tell whether it also conditioned a picture."""
        return self.clip.model.text_model

    @property
    def logit_scale(self) -> float:
        """What the model multiplies a cosine by before its softmax: 100 in OpenAI's, less in fine-tuned ones."""
        return float(self.clip.model.logit_scale.detach().float().exp())

    @property
    def provenance(self) -> dict[str, Any]:
        """What a number from this scorer depends on, JSON-able."""
        preprocessing = self.clip.preprocessing.as_dict()
        return {
            "scorer": self.clip.name,
            "weights_sha256": self.clip.digest,
            "assumed": list(self.clip.assumed),
            **self.clip.as_dict(),
            "preprocessing": preprocessing,
            "crop": preprocessing["crop"],
            "text_positions": self.clip.positions,
            "dtype": str(self.clip.model.dtype).removeprefix("torch."),
            "versions": {
                "clipcond": clipcond.__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "pillow": PIL.__version__,
            },
        }

    def _remember(self, found: dict[str, tuple[torch.Tensor, bool]]) -> None:
        """Keep the texts used last."""
        for text, features in found.items():
            self._known[text] = features
            self._known.move_to_end(text)
        while len(self._known) > _CACHED_TEXTS:
            self._known.popitem(last=False)


def checked_texts(prompts: Prompts) -> list[str]:
    """Prompts as a list of strings that can be encoded.

    Raises:
        ScoreError: anything else; the message names the place.
    """
    if not isinstance(prompts, list | tuple) or not prompts:
        raise ScoreError(f"prompts: got {prompts!r}; pass a string or a list of strings")
    for index, text in enumerate(prompts):
        if not isinstance(text, str):
            raise ScoreError(f"prompts[{index}]: got {text!r}; a prompt is a string")
        if "\0" in text:
            raise ScoreError(
                f"prompts[{index}]: {text!r} holds a NUL character, which no caption means; take it out"
            )
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ScoreError(
                f"prompts[{index}]: holds half of a surrogate pair, which is no character; decode it as UTF-8"
            ) from None
    return list(prompts)


def _unit(features: Float[torch.Tensor, "n dim"]) -> Float[torch.Tensor, "n dim"]:
    return torch.nn.functional.normalize(features.float().cpu(), dim=-1)


def _nth_picture(index: int, item: ImageLike) -> Any:
    try:
        return load_picture(item)
    except ScoreError as error:
        raise ScoreError(f"images[{index}]: {error}") from error


def _batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
