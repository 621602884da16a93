"""Which encoder made some states: enough of its weights to tell two encoders apart, in a few milliseconds."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import nn

from clipcond.encoders.threads import as_written

_SAMPLES = 16  # values of each tensor, evenly apart
_TOLERANCE = 0.02  # relative: float32 against bfloat16 differ by 0.4 %


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
