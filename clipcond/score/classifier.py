"""Classifier: one vector a class on unit features of pictures, however it was made: texts, examples, or both.

Zero-shot weights, a linear probe and a few-shot head are the same thing, so they are saved, loaded and used alike.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from safetensors import SafetensorError, safe_open

from clipcond.clip.images import Images
from clipcond.errors import CheckpointError, ScoreError
from clipcond.files import save_whole
from clipcond.score.calibration import stand_out
from clipcond.score.features import ClipFeatures, require_finite
from clipcond.score.provenance import require_same

UNKNOWN = "unknown"
_ALPHA = 0.05  # chance that other names do better, above which no class is named
_FORMAT = "clipcond classifier 1"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classifier:
    """Logits are scale * (features @ weights.T) + bias.

    Attributes:
        classes: their names.
        weights: one vector a class.
        bias: one number a class.
        scale: the model's own logit scale (a fixed 100 would make probabilities wrong for fine-tuned models).
        null: unit features of names of other things; empty: never answers "unknown".
        each: whether every class has a probability of its own, as SigLIP is trained; otherwise they share out one.
        truncated: texts of classes and of other things that were longer than the text tower reads.
        provenance: of the scorer whose features it takes, and how the weights were made.
    """

    classes: tuple[str, ...]
    weights: Float[torch.Tensor, "classes dim"]
    bias: Float[torch.Tensor, " classes"]
    scale: float
    null: Float[torch.Tensor, "texts dim"]
    each: bool = False
    truncated: tuple[str, ...] = field(default=(), repr=False)
    provenance: dict[str, Any] = field(repr=False)

    def probabilities(
        self, features: Float[torch.Tensor, "n dim"]
    ) -> Float[torch.Tensor, "n classes"]:
        """Softmax of the logits, or the sigmoid of each.

        Args:
            features: unit features of pictures, of the scorer that the classifier was made with.

        Raises:
            ScoreError: NaN or infinity among them.
        """
        require_finite(features, "features")
        logits = self.scale * features @ self.weights.T + self.bias
        return logits.sigmoid() if self.each else logits.softmax(-1)

    def unknown(self, features: Float[torch.Tensor, "n dim"]) -> Bool[torch.Tensor, " n"]:
        """Where no class stands out among the names of other things.

        The best of k classes competes with the best of k random other names: with the class above a share F of them,
        theirs is better with chance 1 - F^k, and "unknown" is where that is over 5 %. So m other names can let
        through k / (m + k) of the pictures of nothing known: take many.

        Raises:
            ScoreError: the classifier was made without such names, or NaN or infinity among the features.
        """
        require_finite(features, "features")
        if len(self.null) < 2:
            raise ScoreError(
                f"null: this classifier has {len(self.null)} names of other things; make it with some, better dozens"
            )
        best = (features @ self.weights.T).amax(1)
        _, percentile = stand_out(best, features @ self.null.T)
        return 1 - (percentile / 100) ** len(self.classes) > _ALPHA

    def classify(self, images: Images, scorer: ClipFeatures) -> Float[torch.Tensor, "n classes"]:
        """Probabilities of pictures.

        Raises:
            ScoreError: another scorer than the one the classifier was made with; the message names the difference.
        """
        self.check(scorer)
        return self.probabilities(scorer.image_features(images))

    def check(self, scorer: ClipFeatures) -> None:
        """Refuse features that were made differently.

        Raises:
            ScoreError: naming the difference.
        """
        require_same([self.provenance["scorer"], scorer.provenance], action="classified by it")

    def save(self, file: str | Path) -> None:
        """Write one safetensors file: tensors, and the rest as JSON in its header. No pickle.

        Raises:
            ClipcondError: it cannot be written.
        """
        about = {
            "format": _FORMAT,
            "classes": list(self.classes),
            "scale": self.scale,
            "each": self.each,
            "truncated": list(self.truncated),
            "provenance": self.provenance,
        }
        tensors = {"weights": self.weights, "bias": self.bias, "null": self.null}
        save_whole(Path(file), tensors, {"clipcond": json.dumps(about)})

    @classmethod
    def load(cls, file: str | Path) -> "Classifier":
        """Read what `save` wrote.

        Raises:
            CheckpointError: missing, damaged, another kind of file, or NaN in it.
        """
        try:
            with safe_open(file, framework="pt") as opened:
                about = json.loads((opened.metadata() or {}).get("clipcond", "{}"))
                tensors = {name: opened.get_tensor(name) for name in ("weights", "bias", "null")}
            built = cls(
                classes=tuple(about["classes"]),
                scale=float(about["scale"]),
                each=bool(about.get("each", False)),
                truncated=tuple(about.get("truncated", ())),
                provenance=about["provenance"],
                **tensors,
            )
        except FileNotFoundError:
            raise CheckpointError(f"{file}: no such classifier file; check the path") from None
        except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{file}: no classifier that clipcond saved ({error}); make and save it again"
            ) from error
        if about.get("format") != _FORMAT or len(built.classes) != len(built.weights):
            raise CheckpointError(
                f"{file}: no classifier that clipcond saved ({about.get('format')!r}, {len(built.classes)} classes, "
                f"{len(built.weights)} vectors); make and save it again"
            )
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise CheckpointError(
                f"{file}: holds NaN or infinity; make and save it again, in float32"
            )
        return built
