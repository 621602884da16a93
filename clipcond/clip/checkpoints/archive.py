"""Tensors out of what torch.save and torch.jit.save write, without running anything.

Both write a zip: data.pkl, a pickle that says which tensors there are, and data/0, data/1, ..., their bytes. A pickle
is a program that may call any function of any module. Here it may name storage types, tensor rebuilding, dictionaries,
TorchScript's module classes and what training scripts save beside weights (arguments, paths, numpy's numbers), and each of
these is replaced by harmless code of our own; the archive's code/ folder is never looked at.
torch.load(weights_only=True) does the same but refuses TorchScript, the layout of OpenAI's files.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from clipcond.errors import CheckpointError
from clipcond.files import State, first_line

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# what scripts save beside weights, and nobody needs to read them
_INERT = {
    "argparse": {"Namespace"},
    "builtins": {
        "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "range", "set", "slice",
        "str", "tuple", "long", "unicode", "xrange",
    },
    "_codecs": {"encode"},
    "collections": {"Counter", "deque"},
    "copyreg": {"_reconstructor"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "numpy": {"dtype", "ndarray", "bool_", "float16", "float32", "float64", "int32", "int64", "str_"},
    "numpy.core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "pathlib": {"Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "pathlib._local": {"Path", "PosixPath", "PurePosixPath", "PureWindowsPath", "WindowsPath"},
    "torch": {"Size", "device", *(str(d).removeprefix("torch.") for d in _STORAGES.values())},
    "torch.torch_version": {"TorchVersion"},
}  # fmt: skip
# as the protocol that torch.save writes calls them
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}
# whose configurations and dictionaries Lightning saves as hyper_parameters
_INERT_PACKAGES = {"lightning", "lightning_fabric", "omegaconf", "pytorch_lightning"}
_MAX_PICKLE = 64 << 20  # bytes; the data.pkl of a ViT-bigG has 0.2 MB
_MAX_DEPTH = 32


def read_archive(file: Path) -> State:
    """Tensors by dotted name: all that are in nested dictionaries, or hang on a TorchScript module.

    Raises:
        CheckpointError: no such archive, damaged, or its pickle asks for more than weights need.
    """
    try:
        with zipfile.ZipFile(file) as opened:
            content = _unpickle(opened, file.stat().st_size)
    except zipfile.BadZipFile as error:
        raise CheckpointError(
            f"{file}: is a file, but not the zip that torch.save and torch.jit.save write ({first_line(error)}); "
            "a bare pickle can run code and is never opened: copy the file again, or save it as safetensors"
        ) from error
    except _ForbiddenError as error:
        raise CheckpointError(
            f"{file}: its pickle asks for {error}, which no weights need; nothing was run, do not trust this file; of one "
            "of your own, save the state dict alone"
        ) from error
    # a pickle is a program, and a damaged one may fail with anything
    except Exception as error:
        raise CheckpointError(
            f"{file}: not a readable torch archive ({type(error).__name__}: {first_line(error)}); "
            "copy or download it again"
        ) from error
    found: State = {}
    _collect(content, (), found, set())
    if not found:
        raise CheckpointError(
            f"{file}: holds no tensors but {type(content).__name__}; save a state dict"
        )
    return found


class _ForbiddenError(Exception):
    """The pickle named something that is not on the list; the message is its name."""


class _Module:
    """Stands in for any TorchScript class: keeps its attributes."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.attributes = state


class _Inert:
    """Stands in for anything of `_INERT`: takes what it is given and keeps nothing."""

    def __new__(cls, *_: Any) -> "_Inert":
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        pass

    extend = add = update = append


class _Unpickler(pickle.Unpickler):
    def __init__(self, program: bytes, load_storage: Callable[[str, torch.dtype], torch.Tensor]):
        super().__init__(io.BytesIO(program))
        self._load_storage = load_storage
        # fresh per file, so that a pickle that writes to one writes to nothing that outlives it
        self._module = type("Module", (_Module,), {})
        inert = type("Inert", (_Inert,), {})
        self._known: dict[tuple[str, str], Any] = {
            **{(module, name): inert for module, names in _INERT.items() for name in names},
            **{("torch", name): dtype for name, dtype in _STORAGES.items()},
            ("torch._utils", "_rebuild_tensor_v2"): lambda *arguments: _rebuild(*arguments[:4]),
            ("torch._utils", "_rebuild_parameter"): lambda data, *_: data,
            ("collections", "OrderedDict"): OrderedDict,
            ("collections", "defaultdict"): lambda *_: OrderedDict(),
        }
        self._inert = inert

    def find_class(self, module: str, name: str) -> Any:
        module = _RENAMED.get(module, module)
        if (module, name) in self._known:
            return self._known[module, name]
        if module.split(".")[0] in _INERT_PACKAGES:
            return self._inert
        if module == "__torch__" or module.startswith("__torch__."):
            return self._module
        if module == "torch.jit._pickle" and name.startswith("build_"):
            return lambda items: items
        raise _ForbiddenError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> torch.Tensor:
        kind, dtype, key, *_ = pid
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise _ForbiddenError(f"a stored {kind!r}")
        return self._load_storage(str(key), dtype)


def _unpickle(opened: zipfile.ZipFile, extent: int) -> Any:
    infos = opened.infolist()
    # torch stores tensors without compression; what unpacks to more than the file is a bomb
    if sum(info.file_size for info in infos if "/data/" in info.filename) > extent:
        raise ValueError("its parts are larger than the whole")
    pickles = [i.filename for i in infos if i.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("holds no data.pkl")
    if opened.getinfo(pickles[0]).file_size > _MAX_PICKLE:
        raise ValueError("its data.pkl is too large for a list of tensors")
    root = pickles[0].removesuffix("data.pkl")
    if root + "byteorder" in opened.namelist() and opened.read(root + "byteorder") != b"little":
        raise ValueError("is in big-endian byte order")
    program = opened.read(pickles[0])
    _check_memo(program)
    storages: dict[tuple[str, torch.dtype], torch.Tensor] = {}

    def load_storage(key: str, dtype: torch.dtype) -> torch.Tensor:
        if (key, dtype) not in storages:
            data = bytearray(opened.read(f"{root}data/{key}"))
            storages[key, dtype] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0)
        return storages[key, dtype]

    return _Unpickler(program, load_storage).load()


def _check_memo(program: bytes) -> None:
    """Python's unpickler makes room for as many values as the highest index says that they are remembered under."""
    for opcode, argument, _ in pickletools.genops(program):
        if opcode.name.endswith("PUT") and (argument or 0) > len(program):
            raise ValueError("its data.pkl remembers more values than it has")


def _rebuild(
    storage: torch.Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> torch.Tensor:
    # a stride of 0 makes terabytes of one number
    if math.prod(size) > storage.numel():
        raise ValueError(f"a tensor of shape {list(size)} on {storage.numel()} stored numbers")
    return storage.as_strided(size, stride, offset)


def _collect(value: Any, path: tuple[str, ...], found: State, seen: set[int]) -> None:
    """Tensors below `value`; a container that hangs in two places counts once, so nothing grows out of bounds."""
    if isinstance(value, torch.Tensor):
        found[".".join(path)] = value
        return
    children = getattr(value, "attributes", value)
    if not isinstance(children, dict) or id(children) in seen or len(path) > _MAX_DEPTH:
        return
    seen.add(id(children))
    for name, child in children.items():
        _collect(child, (*path, str(name)), found, seen)
