"""Preference models on weights of your own: the published formulae, and nothing downloaded.

PickScore (Kirstain et al. 2023) and HPS v2 (Wu et al. 2023) are CLIPs fine-tuned on people's choices; the aesthetic
predictor (Schuhmann 2022, LAION) is a head on CLIP's picture features that reads no prompt.
"""

import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float

from clipcond.clip import Preprocessing
from clipcond.clip.images import Images
from clipcond.clip.preprocess import Picture
from clipcond.errors import CheckpointError, ScoreError
from clipcond.files import first_line, read_safetensors, some
from clipcond.identity import weights_digest
from clipcond.score.features import Prompts, paired, warn_of_cut
from clipcond.score.results import Scores
from clipcond.score.scorer import ClipScorer
from clipcond.score.variants import Variant

# how each scales the cosine of its CLIP
_SCALES: dict[str, Callable[[ClipScorer], float]] = {
    "pickscore": lambda scorer: scorer.logit_scale,
    "hpsv2": lambda _scorer: 1.0,
}
_AESTHETIC = Variant(
    name="laion_aesthetic", scale=1.0, prefix="", clamp_items=False, clamp_mean=False
)
# numbers of a head's linear layers -> whether there is a ReLU between them; the other numbers are dropouts and ReLUs,
# which have no weights, so that a head of other numbers does not say what it computes
_HEADS = {
    (0,): False,  # aesthetic-predictor: sa_0_4_vit_*_linear
    (0, 2, 4, 6, 7): False,  # improved-aesthetic-predictor: *-linearMSE
    (0, 3, 6, 9, 11): True,  # improved-aesthetic-predictor: ava+logos-l14-reluMSE
}
_LAYER = re.compile(r"(?:(?:module|model|_orig_mod)\.)*(?:(?:layers\.)?(\d+)\.)?(weight|bias)")
_WRAPPERS = ("state_dict", "model_state_dict", "model")  # of training checkpoints

_NEEDS = "needs layers.N.weight and layers.N.bias, or weight and bias"

Layers = dict[int, tuple[torch.Tensor, torch.Tensor]]  # number -> weight, bias


class PreferenceScorer:
    """PickScore or HPS v2: which picture of a prompt people would choose.

    HPS v2 has a way of its own to prepare pictures, which is taken whatever the scorer's crop is.

    Args:
        scorer: of the fine-tuned CLIP, e.g. ClipScorer.from_pretrained("yuvalkirstain/PickScore_v1").
        formula: "pickscore" (exp(logit scale) cos) or "hpsv2" (cos).

    Raises:
        ScoreError: an unknown formula.
    """

    def __init__(self, scorer: ClipScorer, formula: str) -> None:
        if formula not in _SCALES:
            raise ScoreError(f"formula: got {formula!r}; choose one of {', '.join(_SCALES)}")
        self.scorer = _fitting(scorer) if formula == "hpsv2" else scorer
        self.batch_size = scorer.batch_size
        self.variant = Variant(
            name=formula, scale=_SCALES[formula](scorer), prefix="", clamp_items=False, clamp_mean=False
        )  # fmt: skip

    @property
    def provenance(self) -> dict[str, Any]:
        """What a score depends on, JSON-able."""
        return {**self.scorer.provenance, "variant": self.variant.as_dict()}

    def score(self, images: Images, prompts: Prompts) -> Scores:
        """Score picture i against prompt i; one prompt as a plain string goes with every picture.

        Raises:
            ScoreError: pictures or prompts that are none, or that do not pair.
        """
        return self.scorer.score_as(self.variant, images, prompts)

    def probabilities(self, images: Images, prompt: str) -> Float[torch.Tensor, " n"]:
        """How likely each picture of a prompt is the one people choose: softmax of the scores (PickScore's reading).

        Warns:
            ScoreTruncatedWarning: the prompt is longer than the text tower reads.
        """
        scores = self.score(images, prompt)
        warn_of_cut(
            scores.prompts[:1] if scores.truncated.any() else (),
            self.scorer.clip.positions,
            stacklevel=2,
        )
        return scores.values.softmax(0)

    def image_features(self, images: Images) -> Float[torch.Tensor, "n dim"]:
        """Unit features of pictures."""
        return self.scorer.image_features(images)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fitted(Preprocessing):
    """HPS v2's: the longer side to size, the rest black, then normalised (its open_clip/transform.py, ResizeMaxSize).

    It resizes floats, as torchvision does since 0.17 with antialiasing, and does not clamp what overshoots.
    """

    def views(self, picture: Picture) -> Float[torch.Tensor, "1 3 height width"]:
        """What the image tower sees of one RGB picture."""
        if not isinstance(picture, torch.Tensor):
            picture = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        pixels = picture[None].float() / 255
        edge = self.crop[0]
        scale = edge / max(pixels.shape[-2:])
        height, width = (max(1, round(side * scale)) for side in pixels.shape[-2:])
        if pixels.shape[-2:] != (height, width):
            pixels = F.interpolate(pixels, (height, width), mode="bicubic", antialias=True)
        left, top = (edge - width) // 2, (edge - height) // 2
        filled = F.pad(pixels, (left, edge - width - left, top, edge - height - top))
        mean, std = (filled.new_tensor(numbers)[:, None, None] for numbers in (self.mean, self.std))
        return (filled - mean) / std

    def as_dict(self) -> dict[str, object]:
        """For provenance."""
        return {
            **Preprocessing.as_dict(self),
            "resize": f"longest edge to {self.crop[0]}, torch bicubic of floats, antialiased",
            "crop": f"fit {self.crop[0]} x {self.crop[0]}, black around",
        }


def _fitting(scorer: ClipScorer) -> ClipScorer:
    """The same CLIP with pictures prepared as HPS v2 does."""
    own = scorer.clip.preprocessing
    fitted = _Fitted(**{field.name: getattr(own, field.name) for field in fields(own)})
    return ClipScorer(replace(scorer.clip, preprocessing=fitted), batch_size=scorer.batch_size)


class AestheticScorer:
    """LAION's aesthetic predictors: linear layers on unit picture features, with nothing or ReLUs between them.

    The published heads go 768, 1024, 128, 64, 16, 1 on OpenAI's ViT-L/14 (sac+logos+ava1-l14-linearMSE and
    ava+logos-l14-linearMSE, with nothing between; ava+logos-l14-reluMSE, with ReLUs), or straight to 1 (the first
    version, sa_0_4_vit_l_14_linear and those of B/16 and B/32), and answer about 1 to 10. Their dropouts do nothing
    when they are used.

    Args:
        scorer: of the CLIP that the head was trained on.
        head: its state dict (layers.N.weight, layers.N.bias; or weight, bias), alone or in a training checkpoint, or a
            .safetensors or .pth file of it.

    Raises:
        CheckpointError: a head that cannot be read, is none of these, or does not fit the CLIP.
    """

    def __init__(self, scorer: ClipScorer, head: Mapping[str, Any] | str | Path) -> None:
        self.scorer = scorer
        self.batch_size = scorer.batch_size
        source = "head" if isinstance(head, Mapping) else str(head)
        tensors = _bare(head if isinstance(head, Mapping) else _read_tensors(Path(head)), source)
        layers = _layers(tensors, source)
        width, takes = scorer.clip.architecture.dim, next(iter(layers.values()))[0].shape[1]
        if takes != width:
            raise CheckpointError(
                f"{source}: takes features of {takes} numbers but this CLIP has {width}; "
                "use the CLIP that the head was trained on"
            )
        if tuple(layers) not in _HEADS:
            raise CheckpointError(
                f"{source}: has linear layers {_numbers(layers)}, which does not tell what is between them; "
                f"known are {'; '.join(map(_numbers, _HEADS))}"
            )
        self._layers, self._relu = list(layers.values()), _HEADS[tuple(layers)]
        self._digest = weights_digest(tensors)

    @property
    def provenance(self) -> dict[str, Any]:
        """What a score depends on, JSON-able."""
        return {
            **self.scorer.provenance,
            "variant": _AESTHETIC.as_dict(),
            "head_sha256": self._digest,
        }

    def score(self, images: Images, prompts: Prompts = "") -> Scores:
        """How much people would like each picture; the prompts are not read.

        Raises:
            ScoreError: pictures that are none, or prompts that do not pair.
        """
        items, texts = paired(images, prompts)
        values = self.scorer.image_features(items)
        for place, (weight, bias) in enumerate(self._layers):
            values = values.relu() if self._relu and place else values
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


def _bare(state: Mapping[str, Any], source: str) -> dict[str, torch.Tensor]:
    """A head's tensors by the names layers.N.weight and layers.N.bias, out of whatever a trainer wrapped them in."""
    for key in _WRAPPERS:
        if isinstance(state.get(key), Mapping):
            return _bare(state[key], source)
    found: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        layer = _LAYER.fullmatch(str(name))
        own = f"layers.{layer[1] or 0}.{layer[2]}" if layer else ""
        if not own or own in found or not isinstance(tensor, torch.Tensor):
            raise CheckpointError(
                f"{source}: no aesthetic head: holds {some([*map(str, state)])}; {_NEEDS}"
            )
        if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
            raise CheckpointError(
                f"{source}: {name} is no float, or holds NaN or infinity; download it again"
            )
        found[own] = tensor.detach().cpu()
    if not found:
        raise CheckpointError(f"{source}: no aesthetic head: holds nothing; {_NEEDS}")
    return found


def _layers(tensors: Mapping[str, torch.Tensor], source: str) -> Layers:
    """In order of their numbers, in float32."""
    numbers = sorted({int(name.split(".")[1]) for name in tensors})
    try:
        layers = {
            n: (tensors[f"layers.{n}.weight"].float(), tensors[f"layers.{n}.bias"].float())
            for n in numbers
        }
    except KeyError as error:
        raise CheckpointError(f"{source}: lacks {error}; download it again") from None
    shapes = [weight.shape for weight, _ in layers.values()]
    plain = all(w.ndim == 2 and b.shape == w.shape[:1] for w, b in layers.values())
    if not plain or any(a[0] != b[1] for a, b in pairwise(shapes)) or shapes[-1][0] != 1:
        raise CheckpointError(
            f"{source}: layers of {[list(shape) for shape in shapes]} do not follow on each other to one number"
        )
    return layers


def _numbers(layers: Iterable[int]) -> str:
    return ", ".join(map(str, layers))


def _read_tensors(file: Path) -> dict[str, Any]:
    """A state dict from safetensors, or from a pickle of tensors that may run no code."""
    if file.suffix == ".safetensors":
        return dict(read_safetensors(file))
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{file}: no such file; check the path") from None
    # what torch.load makes of a damaged or hostile file
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{file}: not a file of tensors ({first_line(error)}); download it again"
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{file}: holds {type(content).__name__}, not a state dict")
    return dict(content)
