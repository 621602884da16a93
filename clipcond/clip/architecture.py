"""What a CLIP is made of: read from a configuration, or from the shapes of its weights.

Of OpenAI's and OpenCLIP's, shapes say everything but two things. How many heads a transformer has: 64 channels a head, as in all of OpenAI's
models, save OpenCLIP's three largest image towers. Which activation its MLPs have: QuickGELU, x sigmoid(1.702 x), in
OpenAI's; GELU by default in OpenCLIP's.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from clipcond.clip.layouts import has_resnet, openclip_name
from clipcond.errors import CheckpointError
from clipcond.files import State

if TYPE_CHECKING:
    from transformers import CLIPConfig

HEAD_WIDTH = 64
# OpenCLIP's ViT-H, ViT-g and ViT-bigG: width of the image tower to channels a head
_WIDE_HEADS = {1280: 80, 1408: 88, 1664: 104}
_RESNET_STRIDE = 32
_EPS = 1e-5  # of every layer norm, in both families


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTower:
    """Sizes of the text transformer.

    Attributes:
        mlp: the width between its two linear layers.
        features: which position they are taken at: "end", the end-of-text token's; "highest", the first of the highest
            id; or "last", the last of all, texts being filled up to `context`.
    """

    width: int
    layers: int
    heads: int
    mlp: int
    vocabulary: int
    context: int
    activation: str
    eps: float = _EPS
    features: str = "end"

    def to_transformers(self, dim: int) -> dict[str, Any]:
        """The entries of a CLIPTextConfig; `dim` is the width of the features."""
        return {
            "hidden_size": self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.mlp,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.context,
            "hidden_act": self.activation,
            "layer_norm_eps": self.eps,
            "projection_dim": dim,
            "bos_token_id": self.vocabulary - 2,
            "eos_token_id": self.vocabulary - 1,
            "pad_token_id": self.vocabulary - 1,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTower:
    """Sizes of the image tower.

    Attributes:
        layers: blocks of a ViT, or of each of the four stages of a ModifiedResNet.
        heads: of a ViT's attention, or of the ResNet's attention pooling.
        mlp: width between a ViT's two linear layers; None in a ResNet.
        patch: edge of a ViT's patch in pixels; None in a ResNet.
        activation: "relu" in a ResNet.
    """

    image_size: int
    width: int
    layers: int | tuple[int, int, int, int]
    heads: int
    mlp: int | None
    patch: int | None
    activation: str
    eps: float = _EPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Both towers and the width of the features that they share; `kind` is transformers' model_type."""

    text: TextTower
    image: ImageTower
    dim: int
    kind: str = "clip"

    @property
    def is_resnet(self) -> bool:
        """Whether the image tower is a ModifiedResNet."""
        return self.image.patch is None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        fields = asdict(self)
        layers = self.image.layers
        fields["image"]["layers"] = list(layers) if isinstance(layers, tuple) else layers
        # a plain CLIP's description, and so its digest, is older than the other kinds
        if self.kind == "clip":
            del fields["kind"]
        if self.text.features == "end":
            del fields["text"]["features"]
        return fields

    def to_transformers(self) -> "CLIPConfig":
        """The configuration of a CLIPModel; of a ResNet CLIP only its text half means anything."""
        from transformers import CLIPConfig

        image, text_config = self.image, self.text.to_transformers(self.dim)
        if self.is_resnet:
            return CLIPConfig(text_config=text_config, projection_dim=self.dim)
        vision_config = {
            "hidden_size": image.width,
            "num_hidden_layers": image.layers,
            "num_attention_heads": image.heads,
            "intermediate_size": image.mlp,
            "image_size": image.image_size,
            "patch_size": image.patch,
            "hidden_act": image.activation,
            "layer_norm_eps": image.eps,
            "projection_dim": self.dim,
        }
        return CLIPConfig(
            text_config=text_config, vision_config=vision_config, projection_dim=self.dim
        )


def from_transformers(config: Any) -> Architecture:
    """What the configuration of a CLIPModel, MetaClip2Model or SiglipModel says.

    Raises:
        ValueError: of a SigLIP that has no features to compare.
    """
    text, vision = config.text_config, config.vision_config
    siglip = config.model_type == "siglip"
    if siglip and not (vision.vision_use_head and text.projection_size == vision.hidden_size):
        raise ValueError(
            f"features of {text.projection_size} numbers for texts, and for pictures "
            f"{vision.hidden_size if vision.vision_use_head else 'none'}"
        )
    return Architecture(
        text=TextTower(
            width=text.hidden_size,
            layers=text.num_hidden_layers,
            heads=text.num_attention_heads,
            mlp=text.intermediate_size,
            vocabulary=text.vocab_size,
            context=text.max_position_embeddings,
            activation=text.hidden_act,
            eps=text.layer_norm_eps,
            features="last" if siglip else "end",
        ),
        image=ImageTower(
            image_size=vision.image_size,
            width=vision.hidden_size,
            layers=vision.num_hidden_layers,
            heads=vision.num_attention_heads,
            mlp=vision.intermediate_size,
            patch=vision.patch_size,
            activation=vision.hidden_act,
            eps=vision.layer_norm_eps,
        ),
        dim=text.projection_size if siglip else config.projection_dim,
        kind=config.model_type,
    )


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
        edge = round((positions - 1) ** 0.5)
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
