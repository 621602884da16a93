"""The app as a server: many clients at once, what that does to its memory and its files, and what uploads leave behind.

    python -m benchmarks.serving --json benchmarks/serving.json       # a few minutes on two cores; renders docs/deploying.md

"load" lets clients ask at the same time, each for pictures of its own prompts and seeds, and for the scores of a picture that it got before;
each answer is compared with its question. A client that is told that the queue is full asks again. Memory is compared with that after a first
round of the same clients. "drawing" asks for one drawing after another with several numbers of threads. "uploads" puts pictures
on the server as the page does, looks at what is kept, and again when the time to keep them is over (a few seconds here) and when the server ends.
"sessions" asks for tokens alone: what memory do requests of one visitor take, new visitors up to as many as the app remembers, and more of them?
"""

import argparse
import base64
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
import psutil
from PIL import Image

from benchmarks.machine import cpu_name
from benchmarks.parts import Json, Part, run
from demos.app import _SESSIONS as SESSIONS

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "serving.json", ROOT / "docs" / "deploying.md"
BEGIN, END = "<!-- measured by benchmarks/serving.py -->\n", "<!-- end -->\n"
_FORGET = 3  # seconds that uploads are kept in "uploads"; an hour in the app itself


@dataclass(frozen=True, slots=True)
class Server:
    """A running `clipcond app`: its process, its address, and the one folder that it can tell as temporary, home and current."""

    process: subprocess.Popen[str]
    address: str
    folder: Path

    def mb(self) -> float:
        """Memory that it holds."""
        return psutil.Process(self.process.pid).memory_info().rss / 2**20

    def files(self) -> int:
        """That it has left in its folder."""
        return sum(path.is_file() for path in self.folder.rglob("*"))

    def end(self) -> None:
        """As service managers do."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@contextmanager
def serving(
    folder: Path, *, threads: int | None = None, forget: int | None = None
) -> Iterator[Server]:
    """The command in a process of its own, once it listens; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from clipcond.cli import main; sys.exit(main())"
    if forget is not None:
        code = f"import demos.app; demos.app._FORGET = {forget}; {code}"
    own = {name: str(folder) for name in ("TMPDIR", "HOME", "XDG_CACHE_HOME")}
    own |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    own |= {"OMP_NUM_THREADS": str(threads)} if threads else {}
    command = [sys.executable, "-c", code, "app", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=folder, env=os.environ | own, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:  # fmt: skip
        try:
            if "clipcond is at" not in (process.stdout.readline() if process.stdout else ""):
                raise SystemExit("the app did not start: run clipcond app to see why")
            yield Server(process, f"http://127.0.0.1:{port}/", folder)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)


@dataclass
class Told:
    """What became of requests."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    asked_again: int = 0


def ask_all(address: str, clients: int, requests: int, first_seed: int) -> Told:
    """All clients' requests, each client's one after another, all clients' at once."""
    from gradio_client import Client

    everyone = [Client(address, verbose=False) for _ in range(clients)]
    with ThreadPoolExecutor(clients) as pool:
        asked = [
            pool.submit(_ask_in_turn, client, number, requests, first_seed)
            for number, client in enumerate(everyone)
        ]
        each = [future.result() for future in asked]
    for client in everyone:
        client.close()
    return Told(
        sum((told.outcomes for told in each), Counter()),
        [seconds for told in each for seconds in told.seconds],
        sum(told.asked_again for told in each),
    )


def _ask_in_turn(client: Any, number: int, requests: int, first_seed: int) -> Told:
    """A client's requests: pictures, and each fifth time the score of the last one."""
    from demos.studio import world_prompts

    prompts, told, last = world_prompts(), Told(), None
    for turn in range(requests):
        prompt = prompts[(number + turn) % len(prompts)]
        seed = first_seed + 1000 * number + turn
        start = time.perf_counter()
        if last and turn % 5 == 4:
            own = _scored(_ask(client, told, f"{last[0]}\nclient {number}", last[1], api_name="/score"), last, number)  # fmt: skip
        else:
            how = dict(candidates=1, steps=2, seed=seed, api_name="/generate")
            (picture,) = _ask(client, told, prompt, **how)["pictures"]
            said = json.loads(_opened(picture["png"]).text["clipcond"])  # type: ignore[attr-defined]
            own = (said["prompt"], picture["seed"]) == (prompt, seed)
            last = (prompt, picture["png"], picture["score"])
        told.seconds.append(time.perf_counter() - start)
        told.outcomes["own" if own else "another's"] += 1
    return told


def _ask(client: Any, told: Told, *values: Any, **named: Any) -> Any:
    """An answer, however often the queue is full."""
    from gradio_client.exceptions import AppError
    from gradio_client.utils import QueueError

    while True:
        try:
            return client.predict(*values, **named)
        except (QueueError, AppError) as error:
            if "full" not in str(error):
                raise
            told.asked_again += 1
            time.sleep(random.uniform(0.2, 0.6))


def _opened(address: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(address.partition("base64,")[2])))


def _scored(told: list[Json], last: tuple[str, str, float], number: int) -> bool:
    """Whether these are the scores of that picture with those texts."""
    texts = [each["prompt"] for each in told] == [last[0], f"client {number}"]
    return texts and abs(told[0]["cosine"] - last[2]) < 1e-4


def load(folder: Path, args: argparse.Namespace) -> Json:
    """Clients at once; they live in a process of their own, since they hold memory too."""
    spawned = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    with serving(folder) as server, spawned as apart:
        found: Json = {"clients": args.clients, "requests": args.requests}
        found["start_mb"] = round(server.mb())
        apart.submit(ask_all, server.address, args.clients, 5, 0).result()
        warm, files = server.mb(), server.files()
        start = time.perf_counter()
        told = apart.submit(ask_all, server.address, args.clients, args.requests, 10**6).result()
        found["wall_s"] = round(time.perf_counter() - start)
        cuts = quantiles(told.seconds, n=20)
        found |= {"outcomes": dict(told.outcomes), "asked_again": told.asked_again}
        found |= {"p50_s": round(median(told.seconds), 2), "p95_s": round(cuts[18], 2)}
        found |= {"warm_mb": round(warm), "growth_mb": round(server.mb() - warm, 1)}
        found |= {"files_before": files, "files_after": server.files()}
    return {"load": found}


def drawing(folder: Path, args: argparse.Namespace) -> Json:
    """Seconds of the page's own drawing, four candidates with the default steps, by servers of so many threads that take turns."""
    from gradio_client import Client

    times: dict[int, list[float]] = {threads: [] for threads in (1, os.cpu_count() or 1)}
    with ExitStack() as stack:
        clients = {
            threads: Client(
                stack.enter_context(serving(folder, threads=threads)).address, verbose=False
            )
            for threads in times
        }
        for seed in range(args.drawings + 1):
            for threads, client in clients.items():
                start = time.perf_counter()
                client.predict("a red heart and a (fox:1.3)", seed=seed, api_name="/generate")
                times[threads].append(time.perf_counter() - start)
        for client in clients.values():
            client.close()
    return {"drawing_s": {str(threads): round(median(own[1:]), 2) for threads, own in times.items()}}  # fmt: skip


def uploads(folder: Path, args: argparse.Namespace) -> Json:
    """Files kept of pictures that are uploaded, each twice."""
    with serving(folder, forget=_FORGET) as server:
        before = server.files()
        for number in range(args.uploads):
            buffer = BytesIO()
            Image.new("RGB", (64, 64), (number % 256, 0, 0)).save(buffer, "PNG")
            for _ in range(2):
                upload(server, buffer.getvalue())
        kept = server.files()
        time.sleep(2 * _FORGET + 2)  # they are looked at as often as they are kept long
        forgotten = server.files()
        upload(server, b"one more")
        server.end()
        told = {"before": before, "kept": kept, "after_the_time": forgotten, "after_the_end": server.files()}  # fmt: skip
    return {"uploads": {"pictures": args.uploads, "requests": 2 * args.uploads, **told}}


def upload(server: Server, content: bytes) -> None:
    """As the page does."""
    answer = httpx.post(
        f"{server.address}gradio_api/upload", files={"files": ("picture.png", content)}
    )
    answer.raise_for_status()


def sessions(folder: Path, _args: argparse.Namespace) -> Json:
    """Megabytes more after requests of one visitor, of as many visitors as are remembered, and of half as many more."""
    with serving(folder) as server, httpx.Client(base_url=server.address, timeout=60) as client:
        found: Json = {"remembered": SESSIONS}
        for kind, visitors in (
            ("warm", [0] * 20),
            ("one_mb", [0] * SESSIONS),
            ("remembered_mb", range(1, SESSIONS + 1)),
            ("more_mb", range(SESSIONS + 1, SESSIONS * 3 // 2 + 1)),
        ):
            before = server.mb()
            for visitor in visitors:
                _see_tokens(client, f"visitor{visitor}")
            found[kind] = round(server.mb() - before, 1)
    del found["warm"]
    return {"sessions": found}


def _see_tokens(client: httpx.Client, visitor: str) -> None:
    asked = {"data": ["a (fox:1.3)", "a1111"], "session_hash": visitor}
    event = client.post("gradio_api/call/tokens", json=asked).raise_for_status().json()["event_id"]
    answer = client.get(f"gradio_api/call/tokens/{event}").text
    if "event: complete" not in answer:
        raise SystemExit(f"tokens: {answer[:200]}")


def machine(_folder: Path, _args: argparse.Namespace) -> Json:
    """What it was measured on, and how busy that was with other things."""
    return {"machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}}


def table(told: Json) -> str:
    """The page's figures."""
    load, uploads, where = told["load"], told["uploads"], told["machine"]
    visits = told["sessions"]
    asked = load["clients"] * load["requests"]
    rows = [
        (f"{load['clients']} clients, {load['requests']} requests each, at once", "none mixed up", f"{load['outcomes'].get('own', 0)} of {asked} answers are their question's, in {load['wall_s']} s"),
        ("a request's time, waiting included", "", f"{load['p50_s']} s in the median, {load['p95_s']} s at the 95th percentile"),
        ("requests that the full queue sent back, to be asked again", "", f"{load['asked_again']}"),
        ("the server's memory: at its start; after a first round of all clients", "", f"{load['start_mb']} MB; {load['warm_mb']} MB"),
        ("its growth from there to the end", "under 50 MB", f"{load['growth_mb']} MB"),
        (f"its growth after {visits['remembered']} token views of one visitor; of {visits['remembered']} visitors; of {visits['remembered'] // 2} more", "", f"{visits['one_mb']} MB; {visits['remembered_mb']} MB; {visits['more_mb']} MB"),
        ("temporary files: before, after", "none more", f"{load['files_before']}, {load['files_after']}"),
        (f"files of {uploads['pictures']} pictures uploaded twice: at once; after their time; after the server's end", "each once; none; none", f"{uploads['kept']}; {uploads['after_the_time']}; {uploads['after_the_end']}"),
        *(
            (f"one drawing of four candidates, with {threads} thread{'s' if threads != '1' else ''}", "", f"{seconds} s")
            for threads, seconds in told["drawing_s"].items()
        ),
    ]  # fmt: skip
    lines = [
        f"On {where['cores']} cores of an {where['cpu']}, clients and server on the same ones, the shipped model; requests of the load draw",
        f"one candidate in two steps. The machine's load was {where['load']:.1f} before.",
        "",
        "| | target | measured |",
        "| --- | --- | --- |",
        *(f"| {what} | {target} | {figure} |" for what, target, figure in rows),
    ]
    return "\n".join(lines) + "\n"


def render() -> None:
    """Write the figures into the page."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    told = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(f"{head}{BEGIN}{table(told)}{END}{rest.partition(END)[2]}", encoding="utf-8")


PARTS: dict[str, Part] = {
    "machine": machine,
    "load": load,
    "drawing": drawing,
    "uploads": uploads,
    "sessions": sessions,
}


def main() -> None:
    """Measure, print, write, render."""
    options: dict[str, dict[str, Any]] = {
        "--clients": dict(type=int, default=30),
        "--requests": dict(type=int, default=10, help="of each client"),
        "--drawings": dict(type=int, default=8),
        "--uploads": dict(type=int, default=40, help="pictures"),
    }
    run(__doc__, PARTS, options)
    if PAGE.exists() and RESULTS.exists():
        render()


if __name__ == "__main__":
    main()
