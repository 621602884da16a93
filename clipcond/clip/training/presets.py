"""What may be trained from nothing, by name: sizes, batch and rate."""

from dataclasses import dataclass

from clipcond.clip.architecture import Architecture, ImageTower, TextTower
from clipcond.errors import ClipcondError

CLIPS_OWN = 49408  # tokens of OpenAI's vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A CLIP that is trained from nothing.

    Attributes:
        architecture: both towers; the text tower's vocabulary is the most that a learnt one may have, or `CLIPS_OWN`.
        batch: pairs a step, over all processes.
        rate: highest learning rate of AdamW at that batch.
    """

    architecture: Architecture
    batch: int
    rate: float

    @property
    def learns_vocabulary(self) -> bool:
        """Whether its vocabulary is learnt from the captions; otherwise it is CLIP's own."""
        return self.architecture.text.vocabulary != CLIPS_OWN


def find_preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ClipcondError: there is none.
    """
    if name not in PRESETS:
        raise ClipcondError(f"preset: got {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def _text(width: int, layers: int, heads: int, vocabulary: int = CLIPS_OWN) -> TextTower:
    return TextTower(
        width=width,
        layers=layers,
        heads=heads,
        mlp=4 * width,
        vocabulary=vocabulary,
        context=77,
        activation="quick_gelu",
    )


def _vit(image_size: int, patch: int, *, width: int, layers: int, heads: int) -> ImageTower:
    return ImageTower(
        image_size=image_size,
        width=width,
        layers=layers,
        heads=heads,
        mlp=4 * width,
        patch=patch,
        activation="quick_gelu",
    )


def _resnet(image_size: int, layers: tuple[int, int, int, int], *, width: int) -> ImageTower:
    """OpenAI's heads: one per 64 channels of the pooling, which has 32 times the width."""
    return ImageTower(
        image_size=image_size,
        width=width,
        layers=layers,
        heads=width // 2,
        mlp=None,
        patch=None,
        activation="relu",
    )


# Sizes of the last four are OpenAI's (Radford et al. 2021, tables 19 and 20), rates those of their runs at a batch of
# 32,768; open_clip trains all of them at 5e-4, whatever the batch. The tiny ViT is the emoji world's own CLIP. A
# ModifiedResNet halves the edge five times, so that the tiny one reads 64 pixels: 32 would leave its pooling one position.
PRESETS: dict[str, Preset] = {
    "tiny": Preset(
        architecture=Architecture(
            text=_text(128, 4, 4, vocabulary=2048),
            image=_vit(32, 4, width=160, layers=4, heads=4),
            dim=128,
        ),
        batch=128,
        rate=1.2e-3,
    ),
    "tiny-resnet": Preset(
        architecture=Architecture(
            text=_text(128, 4, 4, vocabulary=2048),
            image=_resnet(64, (1, 1, 1, 1), width=32),
            dim=128,
        ),
        batch=128,
        rate=1.2e-3,
    ),
    "RN50": Preset(
        architecture=Architecture(
            text=_text(512, 12, 8), image=_resnet(224, (3, 4, 6, 3), width=64), dim=1024
        ),
        batch=1024,
        rate=5e-4,
    ),
    "ViT-B/32": Preset(
        architecture=Architecture(
            text=_text(512, 12, 8), image=_vit(224, 32, width=768, layers=12, heads=12), dim=512
        ),
        batch=1024,
        rate=5e-4,
    ),
    "ViT-B/16": Preset(
        architecture=Architecture(
            text=_text(512, 12, 8), image=_vit(224, 16, width=768, layers=12, heads=12), dim=512
        ),
        batch=1024,
        rate=5e-4,
    ),
    "ViT-L/14": Preset(
        architecture=Architecture(
            text=_text(768, 12, 12), image=_vit(224, 14, width=1024, layers=24, heads=16), dim=768
        ),
        batch=1024,
        rate=4e-4,
    ),
}
