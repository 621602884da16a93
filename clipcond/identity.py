"""Whose weights these are: three questions, and for each the one answer that is given everywhere.

- Were two numbers made by the same weights? `weights_digest`: every byte as it was read, stored beside the numbers.
- Did this encoder make that saved conditioning? `fingerprint`: a sample in a few milliseconds, stored in the file, that other
  precisions match as well.
- Are these two modules one encoder? `same_weights`: every value, up to its rounding in half precision.

Whether an encoder would still answer as it did asks for more than weights (LoRAs, configuration, precision, where it runs):
`clipcond.encoders.digest`, the key of caches.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import nn

_SAMPLES = 16  # values of each tensor, evenly apart
_TOLERANCE = 0.02  # relative: float32 against bfloat16 differ by 0.4 %


def as_written(module: nn.Module) -> nn.Module:
    """The encoder itself, which torch.compile may have wrapped."""
    inner: nn.Module = getattr(module, "_orig_mod", module)
    return inner


def weights_digest(
    tensors: Mapping[str, torch.Tensor], about: Mapping[str, object] | None = None
) -> str:
    """sha256 in hex over each tensor's name, dtype, shape and bytes, in the order of names.

    Args:
        tensors: by name.
        about: what else tells two models of these tensors apart, JSON-able; None for nothing.
    """
    # digests that are stored have a line's end before each tensor only where something is before the first
    opening, before = ("", "") if about is None else (json.dumps(about, sort_keys=True), "\n")
    digest = hashlib.sha256(opening.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{before}{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two text towers are equal up to storage in half precision.

    Weights offloaded to the meta device cannot be compared: not equal.
    """
    ours, theirs = (getattr(m, "text_model", m).state_dict() for m in (one, other))
    return ours.keys() == theirs.keys() and all(
        ours[name].shape == theirs[name].shape
        and not (ours[name].is_meta or theirs[name].is_meta)
        and torch.allclose(
            ours[name].cpu().float(), theirs[name].cpu().float(), rtol=2**-7, atol=1e-6
        )
        for name in ours
    )


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A sample of an encoder's weights.

    Attributes:
        digest: of the sampled values as stored, with names, shapes and dtypes.
        dtype: of the weights.
        values: one sampled value of each tensor in turn, so that dtypes can be compared.
    """

    digest: str
    dtype: str
    values: tuple[float, ...]

    def matches(self, other: "Fingerprint") -> bool:
        """Whether both are of one encoder: the same digest; in another dtype, the same values up to rounding."""
        if self.dtype == other.dtype:
            return self.digest == other.digest
        return len(self.values) == len(other.values) and all(
            abs(a - b) <= _TOLERANCE * max(abs(a), abs(b)) + 1e-4
            for a, b in zip(self.values, other.values, strict=True)
        )


_Version = tuple[
    tuple[int, int], ...
]  # the places of a module's tensors, and how often each was written to
_known: WeakKeyDictionary[nn.Module, tuple[_Version, Fingerprint | None]] = WeakKeyDictionary()


def fingerprint(module: nn.Module) -> Fingerprint | None:
    """The fingerprint of a module; None where its weights are elsewhere (offloaded to the meta device).

    Computed again only when a tensor was replaced or written to. Quantised tensors of classes of their own (torchao's)
    have no values to look at and are left out.
    """
    module = as_written(module)
    tensors = {name: t for name, t in module.named_parameters() if type(t.data) is torch.Tensor}
    version = tuple((t.data_ptr(), t._version) for t in tensors.values())  # noqa: SLF001 no public name
    known = _known.get(module)
    if known is not None and known[0] == version:
        return known[1]
    found = None
    if tensors and not any(t.is_meta for t in tensors.values()):
        found = _sample(tensors)
    _known[module] = (version, found)
    return found


@torch.no_grad()
def _sample(tensors: Mapping[str, torch.Tensor]) -> Fingerprint:
    """One transfer from the device, however many tensors."""
    digest = hashlib.blake2b(digest_size=16)
    taken = []
    for name, tensor in tensors.items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype};".encode())
        flat = tensor.detach().reshape(-1)
        taken.append(flat[:: max(1, len(flat) // _SAMPLES)][:_SAMPLES].float())
    sizes = [len(t) for t in taken]
    values = torch.cat(taken).cpu()
    digest.update(values.numpy().tobytes())
    middles = tuple(part[len(part) // 2].item() for part in torch.split(values, sizes) if len(part))
    dtypes = sorted({str(tensor.dtype) for tensor in tensors.values()})
    return Fingerprint(digest.hexdigest(), ", ".join(dtypes), middles)
