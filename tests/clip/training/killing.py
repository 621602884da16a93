"""A training that is killed again and again, at moments that nobody chose, until it ends.

    python -m tests.clip.training.killing DATA INIT OUT KILLS SEED PROCESSES

Each try is a fork, so that it begins in milliseconds; the kernel ends it by a timer with the action that Python never
sees, as kill -9 does. Prints how many tries it took and the digest of the CLIP that came out.
"""

import json
import os
import random
import signal
import socket
import sys
from pathlib import Path

import torch

from clipcond.clip import load_clip
from clipcond.clip.training import train

LONGEST = 1.5  # seconds until a try is killed


def attempt(data: str, init: str, out: Path) -> None:
    """One call, that goes on with whatever is there."""
    train(
        data,
        out,
        init=init,
        steps=12,
        batch=6,
        chunk=2,
        rate=1e-3,
        ema=0.9,
        save_steps=1,
        save_minutes=None,
        log_steps=1,
        held_out=0.2,
        device="cpu",
        resume=True,
    )


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def forked(
    data: str, init: str, out: Path, *, rank: int, ranks: int, port: int, after: float
) -> int:
    """The process id of a try; `after` seconds, 0 for never, it is killed."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if ranks > 1:
            os.environ |= {
                "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks),
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true",
            }  # fmt: skip
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, after)
        attempt(data, init, out)
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def together(pids: list[int]) -> bool:
    """Whether all of a try's processes ended well; where one did not, the others are killed."""
    well = True
    for left in range(len(pids), 0, -1):
        pid, status = os.wait()
        pids = [other for other in pids if other != pid]
        if status and well and left > 1:
            for other in pids:
                os.kill(other, signal.SIGKILL)
        well = well and status == 0
    return well


def main() -> None:
    """Kill so often, then let it end."""
    data, init, out, kills, seed, ranks = sys.argv[1:]
    torch.set_num_threads(1)
    rng = random.Random(int(seed))
    tries = killed = 0
    while True:
        tries += 1
        last = killed >= int(kills)
        port, struck = free_port(), rng.randrange(int(ranks))
        after = 0.0 if last else rng.uniform(0.01, LONGEST)
        pids = [
            forked(
                data,
                init,
                Path(out),
                rank=rank,
                ranks=int(ranks),
                port=port,
                after=after if rank == struck else 0.0,
            )
            for rank in range(int(ranks))
        ]
        if together(pids):
            break
        if last:
            raise SystemExit("a try that nobody killed did not end well")
        killed += 1
    sys.stdout.write(
        json.dumps({"tries": tries, "killed": killed, "digest": load_clip(out).digest})
    )


if __name__ == "__main__":
    main()
