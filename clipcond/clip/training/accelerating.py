"""accelerate's object for a training: which processes there are, on what, in which precision."""

from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, ProjectConfiguration

from clipcond.clip.training.settings import Settings
from clipcond.errors import ClipcondError

# what keeps whole weights in every process
_KINDS = ("NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU", "MULTI_MLU", "MPS")
_PRECISION = {"float32": "no", "bfloat16": "bf16"}


def make_accelerator(
    settings: Settings, *, out: Path, device: str | None = None, trackers: tuple[str, ...] = ()
) -> Any:
    """An Accelerator as `accelerate launch`, torchrun or a plain call set it up.

    Args:
        settings: whose precision it computes in.
        out: where trackers that write files do.
        device: "cpu", or "cuda"; None for a GPU where there is one.
        trackers: of accelerate, by name.

    Raises:
        ClipcondError: no such device here, a tracker that is not installed, or weights that would be sharded.
    """
    # one training after another in a process may differ in precision or device, which accelerate's memory of the first forbids
    alone = not _launched()
    AcceleratorState._reset_state(reset_partial_state=alone)  # noqa: SLF001
    try:
        accelerator = Accelerator(
            mixed_precision=_PRECISION[settings.precision],
            cpu=device == "cpu",
            log_with=list(trackers) or None,
            project_config=ProjectConfiguration(project_dir=str(out), logging_dir=str(out)),
            # batch norms agree already (`norms`), and a broadcast would write into what a backward still reads
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        )
    except (ValueError, ImportError) as error:
        raise ClipcondError(
            f"trackers {trackers}, precision {settings.precision}: {error}"
        ) from error
    check_kind(str(accelerator.distributed_type.value))
    if device is not None and accelerator.device.type != device.split(":")[0]:
        raise ClipcondError(
            f"--device: got {device!r}, but accelerate runs on {accelerator.device}; leave it out, or set CUDA_VISIBLE_DEVICES"
        )
    return accelerator


def check_kind(kind: str) -> None:
    """That every process keeps whole weights, which are measured and written as they are.

    Args:
        kind: accelerate's DistributedType, such as "MULTI_GPU".

    Raises:
        ClipcondError: accelerate was configured to shard them.
    """
    if kind not in _KINDS:
        raise ClipcondError(
            f"accelerate is set up for {kind}, which shards or moves the weights; training is by DDP: take that out of its "
            "configuration (accelerate config), and name a smaller --chunk where the memory is short"
        )


def _launched() -> bool:
    """Whether processes were started together."""
    import torch

    return bool(torch.distributed.is_available() and torch.distributed.is_initialized())
