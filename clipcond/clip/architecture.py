"""What a CLIP is made of, as transformers' configurations say it."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import CLIPConfig

_EPS = 1e-5  # of every layer norm, in OpenAI's and OpenCLIP's models


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

    def __str__(self) -> str:
        """The towers' kinds and sizes: layers x width."""
        image, text = self.image, self.text
        layers = (
            "-".join(map(str, image.layers)) if isinstance(image.layers, tuple) else image.layers
        )
        tower = "ResNet" if image.patch is None else f"ViT/{image.patch}"
        return (
            f"{self.kind} of a {tower} ({layers} x {image.width}, {image.image_size} pixels) and a text tower "
            f"({text.layers} x {text.width}), {self.dim} features"
        )

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
