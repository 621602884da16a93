"""The ModifiedResNet image tower of OpenAI's RN50 to RN50x64, which transformers does not have.

A ResNet with three changes (Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
Supervision", section 2.4; names as in openai/CLIP's model.py): a stem of three convolutions, an average pooling before
every strided convolution, and attention in place of the last average pooling.
"""

from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import nn

_EXPANSION = 4


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut; strides are average poolings."""

    def __init__(self, width_in: int, width: int, stride: int = 1) -> None:
        super().__init__()
        width_out = width * _EXPANSION
        self.conv1 = nn.Conv2d(width_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(stride)
        self.conv3 = nn.Conv2d(width, width_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width_out)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or width_in != width_out:
            pool, conv = nn.AvgPool2d(stride), nn.Conv2d(width_in, width_out, 1, bias=False)
            parts = [("-1", pool), ("0", conv), ("1", nn.BatchNorm2d(width_out))]
            self.downsample = nn.Sequential(OrderedDict(parts))

    def forward(self, x: Float[torch.Tensor, "n c h w"]) -> Float[torch.Tensor, "n d p q"]:
        """One residual step."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(self.avgpool(y)))
        return F.relu(y + self.downsample(x))


class AttentionPool(nn.Module):
    """The mean position asks, all positions and the mean answer."""

    def __init__(self, positions: int, width: int, heads: int, dim: int) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.zeros(positions + 1, width))
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, dim)
        self.heads = heads

    def forward(self, x: Float[torch.Tensor, "n c h w"]) -> Float[torch.Tensor, "n dim"]:
        """Features of the picture."""
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + self.positional_embedding
        query, key, value = (
            y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for y in (self.q_proj(x[:, :1]), self.k_proj(x), self.v_proj(x))
        )
        pooled = F.scaled_dot_product_attention(query, key, value)
        features: torch.Tensor = self.c_proj(pooled.transpose(1, 2).flatten(1))
        return features


class ModifiedResNet(nn.Module):
    """The image tower.

    Args:
        layers: blocks of each of the four stages.
        width: channels of the first stage.
        heads: of the attention pooling.
        image_size: edge of the pictures in pixels, a multiple of 32.
        dim: width of the features.
    """

    def __init__(
        self,
        layers: tuple[int, int, int, int],
        *,
        width: int,
        heads: int,
        image_size: int,
        dim: int,
    ) -> None:
        super().__init__()
        half = width // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = nn.Conv2d(half, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(2)
        self.layer1 = _stage(width, width, layers[0], stride=1)
        self.layer2 = _stage(width * 4, width * 2, layers[1], stride=2)
        self.layer3 = _stage(width * 8, width * 4, layers[2], stride=2)
        self.layer4 = _stage(width * 16, width * 8, layers[3], stride=2)
        self.attnpool = AttentionPool((image_size // 32) ** 2, width * 32, heads, dim)

    def forward(self, x: Float[torch.Tensor, "n 3 h w"]) -> Float[torch.Tensor, "n dim"]:
        """Projected features of pictures."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = self.avgpool(F.relu(self.bn3(self.conv3(x))))
        features: torch.Tensor = self.attnpool(
            self.layer4(self.layer3(self.layer2(self.layer1(x))))
        )
        return features


def _stage(width_in: int, width: int, blocks: int, *, stride: int) -> nn.Sequential:
    rest = (Bottleneck(width * _EXPANSION, width) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(width_in, width, stride), *rest)


class ResNetClip(nn.Module):
    """transformers' text tower beside a ModifiedResNet; answers like a CLIPModel where `Clip` asks it.

    Args:
        text: a CLIPTextModelWithProjection.
        visual: the image tower.
    """

    def __init__(self, text: Any, visual: ModifiedResNet) -> None:
        super().__init__()
        self.text_model = text.text_model
        self.text_projection = text.text_projection
        self.visual = visual
        self.logit_scale = nn.Parameter(torch.zeros(()))

    @property
    def dtype(self) -> torch.dtype:
        """Of the towers."""
        return self.logit_scale.dtype

    @property
    def device(self) -> torch.device:
        """Of the towers."""
        return self.logit_scale.device

    def get_image_features(self, *, pixel_values: torch.Tensor) -> SimpleNamespace:
        """Projected features as `.pooler_output`, as transformers gives them."""
        return SimpleNamespace(pooler_output=self.visual(pixel_values))
