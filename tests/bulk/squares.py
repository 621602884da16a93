"""Work in bulk that costs nothing: squares of numbers, also as a program that can be killed.

python -m tests.bulk.squares FOLDER ENGINE WORKERS
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path

from clipcond.bulk import Shard, Work, claimed, complete, cut, find_engine
from clipcond.errors import ClipcondError
from clipcond.files import write_whole

COUNT, SIZE = 60, 4
PIDS = "pids"  # a folder with a file a worker, named by its process
DIED = "died"  # a file that says that one did


def name(folder, number):
    return folder / f"shard-{number:03d}.txt"


def contents(folder):
    return {f.name: f.read_text() for f in folder.iterdir() if f.name != ".lock"}


def prepare(shard):
    if "bad" in shard.items:
        raise ClipcondError("'bad' is no number; leave it out")
    return [item if isinstance(item, str) else item**2 for item in shard.items]


def worker(folder):
    (folder.parent / PIDS).mkdir(exist_ok=True)
    (folder.parent / PIDS / str(os.getpid())).touch()

    def finish(shard: Shard, prepared):
        if "worse" in shard.items:
            raise ClipcondError("'worse' is no number; leave it out")
        if "die" in shard.items:
            os.kill(os.getpid(), signal.SIGKILL)
        if "die once" in shard.items and not (died := folder.parent / DIED).exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if "interrupt" in shard.items:
            raise KeyboardInterrupt
        text = "".join(f"{square}\n" for square in prepared)
        write_whole(shard.file, lambda path: path.write_text(text))

    return finish


def squares(folder, engine, items=range(COUNT)):
    """Make them, and say which shards were missing."""
    items = list(items)
    with claimed(folder, {"items": len(items)}, parts="shard-*.txt"):
        return complete(
            Work(worker=partial(worker, folder), prepare=prepare),
            cut(items, SIZE, partial(name, folder)),
            engine,
            total=len(items),
            unit="numbers",
        )


if __name__ == "__main__":
    squares(Path(sys.argv[1]), find_engine(sys.argv[2], workers=int(sys.argv[3])))
