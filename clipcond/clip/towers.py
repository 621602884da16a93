"""Both towers behind two functions: texts and pictures to features.

Unusual: pooling is done here, at the end-of-text token whose position is known from tokenising, and not by the
model, which pools at the highest id (eos_token_id 2) or at the first match, and at position 0 when there is none:
cutting ids at 77 gives every long caption the same features in torchmetrics 1.9.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64

from clipcond.clip.architecture import Architecture
from clipcond.clip.preprocess import Picture, Preprocessing
from clipcond.clip.reading import Reader

_BUCKET = 4  # tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFeatures:
    """Projected, not normalised text features, and which texts were cut."""

    features: Float[torch.Tensor, "n dim"]
    truncated: Bool[torch.Tensor, " n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A loaded CLIP checkpoint.

    Attributes:
        model: transformers' CLIPModel, MetaClip2Model or SiglipModel, or a ResNetClip, in eval mode.
        tokenizer: transformers' object, as it was found or given.
        reader: texts to ids with a copy of it, in the way of the checkpoint's own program.
        preprocessing: what its image tower wants, and the crop policy.
        digest: sha256 in hex of architecture and weights as stored, the same in every layout; `dtype` is not in it.
        name: the folder's or file's name, or the hub id.
        layout: which it was read from: "transformers", "openclip" or "openai".
        architecture: sizes and activations of both towers.
        logit_bias: added to the scaled cosine before a sigmoid, where the model was trained with one (SigLIP).
        assumed: what no file said and was taken as is usual, one line each; empty for most checkpoints.
    """

    model: Any
    tokenizer: Any
    reader: Reader
    preprocessing: Preprocessing
    digest: str
    name: str
    layout: str
    architecture: Architecture
    logit_bias: float | None
    assumed: tuple[str, ...]

    @property
    def positions(self) -> int:
        """How many tokens the text tower reads, BOS and EOS included."""
        return self.architecture.text.context

    def as_dict(self) -> dict[str, object]:
        """How texts are read and logits made, for provenance: JSON-able."""
        return {
            "reading": self.reader.name,
            "text_features": self.architecture.text.features,
            "logit_bias": self.logit_bias,
        }

    def probabilities(
        self, cosines: Float[torch.Tensor, "images texts"]
    ) -> Float[torch.Tensor, "images texts"]:
        """What the model makes of cosines, as transformers does.

        Each pair's own, sigmoid(scale cos + bias), where it was trained with a bias; otherwise shared out among the texts
        of a picture, softmax(scale cos).
        """
        logits: torch.Tensor = cosines * self.model.logit_scale.detach().float().exp().to(
            cosines.device
        )
        if self.logit_bias is None:
            return logits.softmax(dim=-1)
        return (logits + self.logit_bias).sigmoid()

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str], *, at_once: int = 64) -> TextFeatures:
        """Features of texts, at most `at_once` a forward; texts over the length lose their end but keep EOS.

        Special tokens typed by a user stay text in transformers' layout; in OpenAI's and OpenCLIP's a typed end-of-text ends
        the text, as it does in their programs, and is reported as truncation.

        A text is padded to the next multiple of four tokens and goes with texts of its length, so that its features do not
        depend on its batch mates; CLIP's towers are causal, so the padding is never seen, and prompts of a dozen tokens cost a
        sixth of the full 77. SigLIP's see it, and are given what they were trained on: all texts at full length.
        """
        rows, cut = self.reader.read(texts, self.positions)
        lengths = [self._length(row) for row in rows]
        places, parts = [], []
        for length in sorted(set(lengths)):
            alike = [i for i, own in enumerate(lengths) if own == length]
            for start in range(0, len(alike), at_once):
                at = alike[start : start + at_once]
                places += at
                parts.append(self._encode_rows([rows[i] for i in at], length))
        return TextFeatures(
            features=torch.cat(parts)[torch.tensor(places).argsort()], truncated=torch.tensor(cut)
        )

    def _length(self, row: Sequence[int]) -> int:
        if self.architecture.text.features == "last":
            return self.positions
        return min(-(-len(row) // _BUCKET) * _BUCKET, self.positions)

    def _encode_rows(self, rows: list[list[int]], length: int) -> Float[torch.Tensor, "n dim"]:
        """Features of rows of ids, filled up to one length."""
        where = self.architecture.text.features
        filled = [self.reader.filled(row, length) for row in rows]
        at = [pooled_at(row, where, self.positions) for row in rows]
        device = self.model.device
        ids, ends = (torch.tensor(values, device=device) for values in (filled, at))
        return text_features(self.model, ids, ends, where)

    @torch.no_grad()
    def encode_pictures(self, pictures: Sequence[Picture]) -> Float[torch.Tensor, "n dim"]:
        """Projected, not normalised features of RGB pictures, as many views a forward as there are pictures.

        Where the crop policy takes several views of a picture, its features are the mean of the views' unit features,
        in float32: each view counts alike.
        """
        views = [self.preprocessing.views(picture) for picture in pictures]
        if len({view.device for view in views}) > 1:
            views = [view.to(self.model.device) for view in views]
        pixels = torch.cat(views).to(self.model.device, self.model.dtype)
        batches = torch.split(pixels, len(pictures))
        features = torch.cat([
            self.model.get_image_features(pixel_values=batch).pooler_output for batch in batches
        ])  # fmt: skip
        if len(features) == len(pictures):
            return features
        parts = torch.split(features.float(), [len(v) for v in views])
        return torch.stack([_mean_of_units(part) for part in parts])


def _mean_of_units(features: Float[torch.Tensor, "views dim"]) -> Float[torch.Tensor, " dim"]:
    """One view as it is, so that a square picture has the same features under every policy."""
    return features[0] if len(features) == 1 else F.normalize(features, dim=-1).mean(dim=0)


def pooled_at(row: Sequence[int], where: str, positions: int) -> int:
    """The place in a row of ids that its features are taken at; `where` as `TextTower.features` has it."""
    match where:
        case "last":
            return positions - 1
        case "end":
            return len(row) - 1
        case _:
            return row.index(max(row))


def text_features(
    model: Any, ids: Int64[torch.Tensor, "n length"], at: Int64[torch.Tensor, " n"], where: str
) -> Float[torch.Tensor, "n dim"]:
    """Projected, not normalised features of filled rows of ids, taken at the places that `pooled_at` gives."""
    features: torch.Tensor
    if where == "last":  # SigLIP's head is inside
        features = model.get_text_features(input_ids=ids).pooler_output
        return features
    hidden = model.text_model(input_ids=ids).last_hidden_state
    features = model.text_projection(hidden[torch.arange(len(ids), device=ids.device), at])
    return features
