"""A denoiser that is called with lists of pictures and texts (Z-Image's), seen as one that is called with tensors.

Its texts have as many rows as they have tokens. Here they are filled up to one length, beside a mask, and cut by it again
before the denoiser's own call.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from clipcond.errors import UnsupportedPipelineError
from clipcond.hooks.rows import Call
from clipcond.hooks.run import Run

_PICTURES, _TEXTS, _MASK = "x", "cap_feats", "encoder_attention_mask"
Called = Callable[..., Any]


def is_listed(call: Call) -> bool:
    """Whether a denoiser is called with lists."""
    return isinstance(call.args[0] if call.args else call.kwargs.get(_PICTURES), list)


def with_tensors(run: Run, module: nn.Module, call: Call, *, around: Called, own: Called) -> Any:
    """What stands around a denoiser's call gives, seeing tensors where pictures and texts are lists.

    Args:
        run: of the pipeline.
        module: the denoiser, or a ControlNet.
        call: what it is called with.
        around: what stands around its call.
        own: the call.

    Raises:
        UnsupportedPipelineError: lists of lists, each text in pieces.
    """
    names = list(inspect.signature(type(module).forward).parameters)[1:]
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    texts = given[_TEXTS]
    if isinstance(texts[0], list):
        raise UnsupportedPipelineError(
            f"{type(run.session.pipe).__name__} hands its denoiser texts in pieces, with pictures between them: leave out "
            "guidance(...)"
        )
    states = run.session.attached
    length = max(0 if states is None else states.length, *map(len, texts))
    places = torch.arange(length, device=texts[0].device)
    tensors = {
        _PICTURES: torch.stack(given[_PICTURES]),
        _TEXTS: torch.stack([F.pad(text, (0, 0, 0, length - len(text))) for text in texts]),
        _MASK: torch.stack([places < len(text) for text in texts]).long(),
    }

    def in_lists(**changed: Any) -> Any:
        rows = zip(changed[_TEXTS], changed.pop(_MASK), strict=True)
        changed[_TEXTS] = [text[seen.bool()] for text, seen in rows]
        changed[_PICTURES] = list(changed[_PICTURES])
        return _pictures(own(**changed), torch.stack)

    return _pictures(around(run, module, in_lists, **{**given, **tensors}), list)


def _pictures(value: Any, change: Callable[[Any], Any]) -> Any:
    """What a denoiser gave with its pictures changed: in a tuple, or one of diffusers' outputs."""
    match value:
        case (pictures, *others):
            return (change(pictures), *others)
        case dict() if not hasattr(value, "sample"):  # a ControlNet's, which are tensors
            return value
        case output:
            return type(output)(sample=change(output.sample))
