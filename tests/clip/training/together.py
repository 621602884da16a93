"""Work done by several real processes over gloo."""

import multiprocessing
import sys
import tempfile
import traceback
from pathlib import Path

import torch
import torch.distributed as dist

_FORKS = multiprocessing.get_context("forkserver")
# imported once, so that a process begins in milliseconds
_FORKS.set_forkserver_preload(["torch", "transformers.models.clip.modeling_clip", __name__])


def _one(work, rank, world, folder, args):
    torch.set_num_threads(1)
    try:
        dist.init_process_group(
            "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world
        )
        torch.save(work(*args), Path(folder) / f"{rank}.pt")
        dist.barrier()
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def together(world, work, *args):
    """What `work(*args)` comes to in each of `world` processes; it is a function of a module, and knows its rank by dist."""
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            _FORKS.Process(target=_one, args=(work, rank, world, folder, args))
            for rank in range(world)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(120)
        alive = [process for process in processes if process.is_alive()]
        for process in alive:
            process.kill()
        assert not alive, "processes wait for each other"
        assert not any(process.exitcode for process in processes), "see the traceback above"
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(world)]
