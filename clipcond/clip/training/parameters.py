"""Which weights are trained, at which rate, and which of them decay."""

import re
from typing import Any

from torch import nn

from clipcond.clip.training.towers import Towers
from clipcond.errors import ClipcondError

# parts of a CLIPModel, SiglipModel or ResNetClip; SigLIP's projections are inside
_PARTS = {
    "image": ("vision_model", "visual_projection", "visual"),
    "text": ("text_model", "text_projection"),
}
_LAYER = re.compile(r"encoder\.layers\.(\d+)\.|visual\.layer(\d)\.")
_FIRST = re.compile(r"\.embeddings\.|\.pre_layrnorm\.|visual\.(?:conv|bn)\d\.")
# matrices by their shape, and yet no weights that are multiplied with
_ADDED = re.compile(r"position_embedding|positional_embedding|class_embedding|\.probe$")


def groups(
    towers: nn.Module,
    *,
    rate: int | float,
    weight_decay: int | float,
    layer_decay: int | float = 1.0,
) -> list[dict[str, Any]]:
    """Groups of parameters as torch's AdamW takes them; what is frozen is in none.

    Weight decay is for weights that are multiplied with (Radford et al. 2021: "all weights that are not gains or
    biases"): not for gains, biases, logit scale and bias, nor for embeddings of positions and of the class, which are added.
    open_clip decays the embeddings of positions (it leaves out what has one axis); token embeddings decay here as there.

    With `layer_decay` below 1 (Bao et al. 2021, BEiT), each tower's last block and what follows it have the full rate, and each
    layer before has `layer_decay` times the rate of the next; the stages of a ResNet are its layers.

    Args:
        towers: a `Towers`, or another module, which has no layers; wrapped by DDP or torch.compile if you like.
        rate: the highest learning rate.
        weight_decay: of the groups that decay.
        layer_decay: above 0, at most 1.

    Returns:
        Dictionaries of params, lr, weight_decay and scale: lr is scale x rate, so that a schedule sets lr to scale x its own.

    Raises:
        ClipcondError: a layer decay out of range.
    """
    if not 0 < layer_decay <= 1:
        raise ClipcondError(f"layer_decay: got {layer_decay!r}; it is above 0 and at most 1")
    named = [(name, p) for name, p in towers.named_parameters() if p.requires_grad]
    last = _last_layers([name for name, _ in towers.named_parameters()])
    found: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        scale = float(layer_decay) ** (last[_tower(name)] - _depth(name, last[_tower(name)]))
        decays = parameter.ndim >= 2 and not _ADDED.search(name)
        found.setdefault((scale, decays), []).append(parameter)
    return [
        {
            "params": found[scale, decays],
            "lr": scale * rate,
            "weight_decay": float(weight_decay) if decays else 0.0,
            "scale": scale,
        }
        for scale, decays in sorted(found, reverse=True)
    ]


def lock(towers: Towers, which: str) -> None:
    """Freeze one tower with its projection: no gradients, and eval mode whatever `towers.train()` says.

    Zhai et al. 2022, LiT: with a locked image tower, the texts learn to read what it already sees. The logit scale is
    trained all the same.

    Args:
        towers: before they are wrapped by DDP or torch.compile.
        which: "image" or "text".

    Raises:
        ClipcondError: there is no such tower.
    """
    if which not in _PARTS:
        raise ClipcondError(f"lock: got {which!r}; choose one of {', '.join(_PARTS)}")
    parts = [getattr(towers.model, name) for name in _PARTS[which] if hasattr(towers.model, name)]
    for part in parts:
        part.requires_grad_(False)  # noqa: FBT003 as torch has it
    towers.still = (*towers.still, *parts)
    towers.train(towers.training)


def _tower(name: str) -> str:
    if "text_model" in name:
        return "text"
    return "image" if re.search("vision_model|visual", name) else "neither"


def _last_layers(names: list[str]) -> dict[str, int]:
    """Of each tower, what its last layer counts as; what comes before the first layer counts as 0."""
    last = {"text": 0, "image": 0, "neither": 0}
    for name in names:
        last[_tower(name)] = max(last[_tower(name)], _depth(name, 0))
    return last


def _depth(name: str, last: int) -> int:
    """Of a parameter; `last` of what is behind all layers."""
    if layer := _LAYER.search(name):
        return int(layer[2]) if layer[2] else int(layer[1]) + 1
    return 0 if _FIRST.search(name) else last
