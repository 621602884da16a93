"""A CLIP text tower without its last layers: the same parts in a model of fewer, for states that no later layer has a say in.

SDXL and SD3 read CLIP-L's last but one layer, "clip skip 2" is the same elsewhere; the layers behind it are a twelfth of the
work. The module itself is not touched, since other threads may be calling it.
"""

import copy

from torch import nn


def shortened(module: nn.Module, layers: int, *, norm: bool) -> nn.Module | None:
    """The same model without its last layers, which shares all of its parts.

    Args:
        module: a transformers CLIPTextModel or CLIPTextModelWithProjection.
        layers: how many to leave out.
        norm: whether the final layer norm is kept.

    Returns:
        None where a call of the module does more than its class says (hooks, offloading, compilation, another class), since
        that would be lost or see other states.
    """
    # CLIPTextModel has its parts inside text_model up to transformers 5.5, and by itself since
    inner = getattr(module, "text_model", module)
    encoder = getattr(inner, "encoder", None)
    own = getattr(encoder, "layers", None)
    if not isinstance(encoder, nn.Module) or not isinstance(own, nn.ModuleList):
        return None
    if not all(_plain(part) for part in (module, inner, encoder)):
        return None
    parts: dict[str, nn.Module] = {
        "encoder": _twin(encoder, layers=nn.ModuleList(list(own)[: len(own) - layers]))
    }
    if not norm:
        parts["final_layer_norm"] = nn.Identity()
    short = _twin(inner, **parts)
    return short if inner is module else _twin(module, text_model=short)


def _plain(module: nn.Module) -> bool:
    """Whether a call of it is a call of its class's forward."""
    own = vars(module)
    hooks = (own[name] for name in ("_forward_hooks", "_forward_pre_hooks"))
    return "forward" not in own and "_hf_hook" not in own and not any(hooks)


def _twin(module: nn.Module, **parts: nn.Module) -> nn.Module:
    """A model with the same parts but for these."""
    twin = copy.copy(module)
    twin._modules = {**module._modules, **parts}  # noqa: SLF001 a shallow copy shares the original's
    return twin
