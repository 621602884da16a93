"""What an encoder is at this moment: a digest of every bit that its results depend on.

Computed anew for every call. Version counters would be cheaper, but a write through `.data` does not move them, and a
cache must never answer with what the encoder was. Sums of all bits along rows and along columns, which take one reading
of the weights where they are, are hashed instead of the bits.
"""

import hashlib
from collections.abc import Iterator

import torch
import transformers
from torch import nn

from clipcond.encoders.forward import config_of, execution_device
from clipcond.encoders.lora_scale import lora_layers
from clipcond.errors import ClipcondError
from clipcond.identity import as_written

_COLUMNS = 1024  # of 8 bytes


@torch.no_grad()
def digest(module: nn.Module) -> bytes:
    """16 bytes: weights as stored, wherever accelerate keeps them, LoRAs with their scales, configuration, precision.

    Hooks that others hang on a module are not seen.

    Raises:
        ClipcondError: weights that cannot be looked at.
    """
    module = as_written(module)
    config = config_of(module)
    found = hashlib.blake2b(digest_size=16)
    versions = (torch.__version__, transformers.__version__)
    found.update(f"{versions} {type(module).__name__} {config} {module.training}".encode())
    found.update(str(getattr(config, "_attn_implementation", "")).encode())
    for name, layer in lora_layers(module):
        scaling = dict(layer.scaling)  # as this thread's forward will read it
        state = (scaling, layer.active_adapters, layer.disable_adapters, layer.merged_adapters)
        found.update(f"{name} {state}".encode())
    pieces: list[torch.Tensor] = []
    for name, tensor in _tensors(module):
        found.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} {tensor.device.type};".encode())
        pieces += _sums(tensor)
    device = execution_device(module).type
    if torch.is_autocast_enabled(device):
        found.update(f"autocast {torch.get_autocast_dtype(device)}".encode())
    for place in dict.fromkeys(piece.device for piece in pieces):
        here = [piece.view(torch.uint8) for piece in pieces if piece.device == place]
        found.update(torch.cat(here).cpu().numpy().tobytes())  # one transfer, however many tensors
    return found.digest()


def _tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of its state, where offloading has put it."""
    offloaded = {
        name: weights
        for name, part in module.named_modules()
        if (weights := getattr(getattr(part, "_hf_hook", None), "weights_map", None)) is not None
    }
    for name, tensor in module.state_dict().items():
        if not torch.is_tensor(tensor):
            continue
        owner, _, own = name.rpartition(".")
        if tensor.is_meta and owner in offloaded:
            yield name, offloaded[owner][own]
        elif tensor.is_meta:
            raise ClipcondError(
                f"{type(module).__name__}: its weights ({name}) are on the meta device and cannot be looked at, so "
                "nothing of it can be cached; leave out cache="
            )
        else:
            yield from _plain(name, tensor)


def _plain(name: str, tensor: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensor itself, or those that a quantised one is made of."""
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if type(tensor) in (torch.Tensor, torch.nn.Parameter) or flatten is None:
        yield name, tensor
        return
    for part in flatten()[0]:
        yield from _plain(f"{name}.{part}", getattr(tensor, part))


def _sums(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Sums of a tensor's bits, as 8-byte integers, along rows and along columns; what fits no row, as it is."""
    flat = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
    whole = len(flat) // (8 * _COLUMNS) * (8 * _COLUMNS)
    rows = flat[:whole].view(torch.int64).reshape(-1, _COLUMNS)
    return [rows.sum(0), rows.sum(1), flat[whole:]] if whole else [flat]
