"""Preference models on weights of your own: the published formulae, and nothing downloaded.

PickScore (Kirstain et al. 2023) and HPS v2 (Wu et al. 2023) are CLIPs fine-tuned on people's choices; the aesthetic
predictor (Schuhmann 2022, LAION) is a head on CLIP's picture features that reads no prompt.
"""

import pickle
import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float

from clipcond.clip.checkpoint import check_safetensors
from clipcond.errors import CheckpointError, ScoreError
from clipcond.score.provenance import weights_digest
from clipcond.score.results import Scores
from clipcond.score.scorer import ClipScorer
from clipcond.score.variants import Variant

if TYPE_CHECKING:
    from clipcond.clip.images import Images
    from clipcond.score.scorer import Prompts
else:  # checked where they are used
    Images = Prompts = object

# how each scales the cosine of its CLIP
_SCALES: dict[str, Callable[[ClipScorer], float]] = {
    "pickscore": lambda scorer: scorer.logit_scale,
    "hpsv2": lambda _scorer: 1.0,
}
_AESTHETIC = Variant(
    name="laion_aesthetic", scale=1.0, prefix="", clamp_items=False, clamp_mean=False
)
_LAYER = re.compile(r"layers\.(\d+)\.(weight|bias)")


class PreferenceScorer:
    """PickScore or HPS v2: which picture of a prompt people would choose.

    Args:
        scorer: of the fine-tuned CLIP, e.g. ClipScorer.from_pretrained("yuvalkirstain/PickScore_v1").
        formula: "pickscore" (exp(logit scale) cos) or "hpsv2" (cos).

    Raises:
        ScoreError: an unknown formula.
    """

    def __init__(self, scorer: ClipScorer, formula: str) -> None:
        if formula not in _SCALES:
            raise ScoreError(f"formula: got {formula!r}; choose one of {', '.join(_SCALES)}")
        self.scorer = scorer
        self.batch_size = scorer.batch_size
        self.variant = Variant(
            name=formula, scale=_SCALES[formula](scorer), prefix="", clamp_items=False, clamp_mean=False
        )  # fmt: skip

    def score(self, images: Images, prompts: Prompts) -> Scores:
        """Score picture i against prompt i; one prompt as a plain string goes with every picture.

        Raises:
            ScoreError: pictures or prompts that are none, or that do not pair.
        """
        items, texts = self.scorer.pairs(images, prompts)
        text = self.scorer.text_features(texts)
        cosine = (self.scorer.image_features(items) * text.features).sum(-1)
        return self.scorer.scores(
            self.variant.of_cosine(cosine),
            truncated=text.truncated,
            variant=self.variant,
            prompts=texts,
        )

    def probabilities(self, images: Images, prompt: str) -> Float[torch.Tensor, " n"]:
        """How likely each picture of a prompt is the one people choose: softmax of the scores (PickScore's reading)."""
        return self.score(images, prompt).values.softmax(0)

    def image_features(self, images: Images) -> Float[torch.Tensor, "n dim"]:
        """Unit features of pictures."""
        return self.scorer.image_features(images)


class AestheticScorer:
    """LAION's aesthetic predictor: linear layers, one after the other with nothing between, on unit picture features.

    The published head (sac+logos+ava1-l14-linearMSE) goes 768, 1024, 128, 64, 16, 1 on OpenAI's ViT-L/14 and answers
    about 1 to 10. Its dropouts do nothing when it is used.

    Args:
        scorer: of the CLIP that the head was trained on.
        head: its state dict (layers.N.weight, layers.N.bias), or a .safetensors or .pth file of it.

    Raises:
        CheckpointError: a head that cannot be read, or does not fit the CLIP.
    """

    def __init__(self, scorer: ClipScorer, head: Mapping[str, torch.Tensor] | str | Path) -> None:
        self.scorer = scorer
        self.batch_size = scorer.batch_size
        source = "head" if isinstance(head, Mapping) else str(head)
        tensors = head if isinstance(head, Mapping) else _read_tensors(Path(head))
        self._layers = _linear_layers(tensors, source)
        self._digest = weights_digest(tensors)
        width = scorer.clip.model.config.projection_dim
        if self._layers[0][0].shape[1] != width:
            raise CheckpointError(
                f"{source}: takes features of {self._layers[0][0].shape[1]} numbers but this CLIP has {width}; "
                "use the CLIP that the head was trained on"
            )

    def score(self, images: Images, prompts: Prompts = "") -> Scores:
        """How much people would like each picture; the prompts are not read.

        Raises:
            ScoreError: pictures that are none, or prompts that do not pair.
        """
        items, texts = self.scorer.pairs(images, prompts)
        values = self.scorer.image_features(items)
        for weight, bias in self._layers:
            values = values @ weight.T + bias
        return self.scorer.scores(
            values.squeeze(-1),
            truncated=torch.zeros(len(items), dtype=torch.bool),
            variant=_AESTHETIC,
            prompts=texts,
            head_sha256=self._digest,
        )

    def image_features(self, images: Images) -> Float[torch.Tensor, "n dim"]:
        """Unit features of pictures."""
        return self.scorer.image_features(images)


def _linear_layers(
    tensors: Mapping[str, torch.Tensor], source: str
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(weight, bias) in order of their numbers; numbers without weights are dropouts."""
    strange = [name for name in tensors if not _LAYER.fullmatch(name)]
    numbers = sorted({int(found[1]) for found in map(_LAYER.fullmatch, tensors) if found})
    if strange or not numbers:
        raise CheckpointError(
            f"{source}: no aesthetic head: holds {', '.join(list(tensors)[:3]) or 'nothing'}; "
            "needs layers.N.weight and layers.N.bias"
        )
    try:
        layers = [
            (tensors[f"layers.{n}.weight"].float(), tensors[f"layers.{n}.bias"].float())
            for n in numbers
        ]
    except KeyError as error:
        raise CheckpointError(f"{source}: lacks {error}; download it again") from None
    widths = [weight.shape for weight, _ in layers]
    fits = all(a[0] == b[1] for a, b in pairwise(widths))
    if not fits or widths[-1][0] != 1:
        raise CheckpointError(
            f"{source}: layers of {[list(w) for w in widths]} do not follow on each other to one number"
        )
    return layers


def _read_tensors(file: Path) -> dict[str, Any]:
    """A state dict from safetensors, or from a pickle of tensors that may run no code."""
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        check_safetensors(file)
        return load_file(file)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{file}: no such file; check the path") from None
    # what torch.load makes of a damaged or hostile file
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).strip().splitlines()[0]
        raise CheckpointError(
            f"{file}: not a file of tensors ({reason}); download it again"
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{file}: holds {type(content).__name__}, not a state dict")
    return dict(content)
