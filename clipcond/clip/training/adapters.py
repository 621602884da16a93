"""Fine-tuning by LoRA (Hu et al. 2021) through peft: few weights are trained, and then become part of the others."""

import importlib
from typing import Any

import torch
from torch import nn

from clipcond.clip.training.towers import Towers
from clipcond.errors import ClipcondError

# attention and MLP projections of every block; a ResNet has them in its attention pooling alone. Not SigLIP's pooling, whose
# attention is torch's own and reads the weight of its output projection past an adapter
_TARGETS = (
    r"(text|vision)_model\.encoder\.layers\.\d+\.(self_attn\.(q|k|v|out)_proj|mlp\.fc[12])"
    r"|visual\.attnpool\.[qkvc]_proj"
)


def add_lora(towers: Towers, rank: int, *, alpha: int | float | None = None, seed: int = 0) -> None:
    """Put adapters on both towers' attention and MLP projections; only they, the logit scale and the bias are trained.

    A tower that `lock` holds is not trained by adapters either.     What the towers compute is unchanged at first, since an adapter's second matrix begins at zero. A ResNet's batch norms stay in
    eval mode, so that nothing but the adapters changes.

    Args:
        towers: before they are wrapped by DDP or torch.compile, and without adapters.
        rank: of each adapter.
        alpha: adapters are scaled by alpha / rank; None for 2 x rank.
        seed: of the adapters' first matrices; the caller's random numbers are left as they were.

    Raises:
        ClipcondError: peft is not installed, the rank is below 1, or there are adapters already.
    """
    peft = _peft()
    if rank < 1:
        raise ClipcondError(f"lora: got a rank of {rank}; it is at least 1")
    if _layers(towers):
        raise ClipcondError("lora: these towers have adapters already; merge them first")
    config = peft.LoraConfig(
        r=rank, lora_alpha=2 * rank if alpha is None else alpha, target_modules=_TARGETS
    )
    towers.requires_grad_(False)  # noqa: FBT003 as torch has it
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        peft.inject_adapter_in_model(config, towers.model)
    for parameter in (towers.model.logit_scale, towers.logit_bias):
        if parameter is not None:
            parameter.requires_grad_()
    for part in towers.still:  # a locked tower's adapters do nothing
        part.requires_grad_(False)  # noqa: FBT003 as torch has it
    towers.still = (*towers.still, *_resnets(towers))
    towers.train(towers.training)


def merge(towers: Towers) -> None:
    """Add the adapters to the weights that they adapt and take them out: plain towers again, in place.

    Names are those of before, features the same up to rounding, and every weight is trained again that no lock holds.

    Raises:
        ClipcondError: there are no adapters, or a sum is not finite.
    """
    layers = _layers(towers)
    if not layers:
        raise ClipcondError("merge: these towers have no adapters")
    for name, layer in layers.items():
        try:
            layer.merge(safe_merge=True)
        except ValueError as error:
            raise ClipcondError(f"{name}: {error}; the training diverged") from error
        parent, _, own = name.rpartition(".")
        setattr(towers.model.get_submodule(parent), own, layer.get_base_layer())
    del towers.model.peft_config
    still = list(towers.still)
    for visual in _resnets(towers):
        still.remove(visual)  # once: a lock holds it as well
    towers.still = tuple(still)
    towers.requires_grad_()
    for part in towers.still:
        part.requires_grad_(False)  # noqa: FBT003 as torch has it


def _resnets(towers: Towers) -> list[nn.Module]:
    visual = getattr(towers.model, "visual", None)
    return [] if visual is None else [visual]


def _layers(towers: Towers) -> dict[str, Any]:
    """peft's layers, by their names in the model; peft need not be installed."""
    return {
        name: module for name, module in towers.model.named_modules() if hasattr(module, "lora_A")
    }


def _peft() -> Any:
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise ClipcondError("--lora needs peft: pip install 'clipcond[train]'") from error
