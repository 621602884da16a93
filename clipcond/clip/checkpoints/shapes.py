"""What a CLIP is made of, read from the shapes of its weights, which is all that a bare file has.

Of OpenAI's and OpenCLIP's, shapes say everything but two things. How many heads a transformer has: 64 channels a head, as in all of OpenAI's
models, save OpenCLIP's three largest image towers. Which activation its MLPs have: QuickGELU, x sigmoid(1.702 x), in
OpenAI's; GELU by default in OpenCLIP's.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from clipcond.clip.architecture import Architecture, ImageTower, TextTower
from clipcond.clip.checkpoints.layouts import has_resnet, openclip_name
from clipcond.errors import CheckpointError
from clipcond.files import State

HEAD_WIDTH = 64
# OpenCLIP's ViT-H, ViT-g and ViT-bigG: width of the image tower to channels a head
_WIDE_HEADS = {1280: 80, 1408: 88, 1664: 104}
_RESNET_STRIDE = 32


def from_weights(
    state: State,
    source: str,
    *,
    activation: str,
    text_heads: int | None = None,
    image_head_width: int | None = None,
) -> Architecture:
    """What the shapes of `hf_from_openclip`'s tensors say, and the two things that they cannot.

    Args:
        state: tensors by transformers' names.
        source: the file's name, for errors.
        activation: "gelu" or "quick_gelu".
        text_heads: of the text tower; None for one per 64 channels.
        image_head_width: channels a head of the image tower; None for 64, or what OpenCLIP's three widest have.

    Raises:
        CheckpointError: a tensor is missing, or of a shape that no CLIP has.
    """
    shapes = _Shapes({name: tuple(tensor.shape) for name, tensor in state.items()}, source)
    build = _resnet if has_resnet(state) else _vit
    return Architecture(
        text=text_from_weights(state, source, activation=activation, heads=text_heads),
        image=build(shapes, activation, image_head_width),
        dim=shapes.of("text_projection.weight", 2)[0],
    )


def text_from_weights(
    state: State, source: str, *, activation: str, heads: int | None = None
) -> TextTower:
    """The same of the text tower alone.

    Raises:
        CheckpointError: a tensor is missing, or of a shape that no CLIP has.
    """
    known = {name: tuple(tensor.shape) for name, tensor in state.items()}
    shapes = _Shapes(known, source, whole="full CLIP text tower")
    vocabulary, width = shapes.of("text_model.embeddings.token_embedding.weight", 2)
    return TextTower(
        width=width,
        layers=shapes.count(r"text_model\.encoder\.layers\.(\d+)\."),
        heads=heads or shapes.heads(width, HEAD_WIDTH),
        mlp=shapes.of("text_model.encoder.layers.0.mlp.fc1.weight", 2)[0],
        vocabulary=vocabulary,
        context=shapes.of("text_model.embeddings.position_embedding.weight", 2)[0],
        activation=activation,
    )


@dataclass(frozen=True, slots=True)
class _Shapes:
    known: Mapping[str, tuple[int, ...]]
    source: str
    whole: str = "full CLIP (both towers)"

    def of(self, name: str, axes: int) -> tuple[int, ...]:
        """The shape of a tensor that must be there and have that many axes."""
        if name not in self.known:
            raise CheckpointError(
                f"{self.source}: lacks the tensor {openclip_name(name)}, so it is no {self.whole}"
            )
        shape = self.known[name]
        if len(shape) != axes or 0 in shape:
            raise CheckpointError(
                f"{self.source}: the tensor {openclip_name(name)} has shape {list(shape)}, which no CLIP has"
            )
        return shape

    def count(self, pattern: str) -> int:
        """One more than the highest number in names that begin so."""
        numbers = [int(m[1]) for name in self.known if (m := re.match(pattern, name))]
        return max(numbers, default=-1) + 1

    def grid(self, name: str) -> int:
        """Edge of the square of positions, the class's own not counted."""
        positions = self.of(name, 2)[0]
        edge = round(math.sqrt(positions - 1))
        if edge < 1 or edge**2 + 1 != positions:
            raise CheckpointError(
                f"{self.source}: {openclip_name(name)} has {positions} positions, which is no square and a class; "
                "only CLIPs of square pictures are read"
            )
        return edge

    def heads(self, width: int, head_width: int) -> int:
        if width % head_width:
            raise CheckpointError(
                f"{self.source}: a tower of {width} channels has no whole number of heads of {head_width}, and weights "
                "do not say how many it has; an open_clip_config.json beside an OpenCLIP file would"
            )
        return width // head_width


def _vit(shapes: _Shapes, activation: str, head_width: int | None) -> ImageTower:
    width, _, patch, _ = shapes.of("vision_model.embeddings.patch_embedding.weight", 4)
    grid = shapes.grid("vision_model.embeddings.position_embedding.weight")
    return ImageTower(
        image_size=grid * patch,
        width=width,
        layers=shapes.count(r"vision_model\.encoder\.layers\.(\d+)\."),
        heads=shapes.heads(width, head_width or _WIDE_HEADS.get(width, HEAD_WIDTH)),
        mlp=shapes.of("vision_model.encoder.layers.0.mlp.fc1.weight", 2)[0],
        patch=patch,
        activation=activation,
    )


def _resnet(shapes: _Shapes, _: str, head_width: int | None) -> ImageTower:
    width = shapes.of("visual.layer1.0.conv1.weight", 4)[0]
    one, two, three, four = (shapes.count(rf"visual\.layer{i}\.(\d+)\.") for i in (1, 2, 3, 4))
    return ImageTower(
        image_size=shapes.grid("visual.attnpool.positional_embedding") * _RESNET_STRIDE,
        width=width,
        layers=(one, two, three, four),
        heads=shapes.heads(
            shapes.of("visual.attnpool.q_proj.weight", 2)[0], head_width or HEAD_WIDTH
        ),
        mlp=None,
        patch=None,
        activation="relu",
    )
