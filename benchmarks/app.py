"""`python -m benchmarks.app [--clients N] [--requests N]`: how fast the app answers, and whether it holds out.

Latency in a browser: from the click to the first picture, and from the last key to the new token view. Load: clients
that ask at the same time, each checking that it got its own picture, and what that does to the memory.
"""

import argparse
import base64
import json
import os
import platform
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch
from gradio_client import Client
from PIL import Image

from demos.app import serve
from demos.studio import open_studio, world_prompts

_TYPED = "a red heart and a (fox:1.3) on a pink background"


def latency(address: str) -> dict[str, float]:
    """Seconds to the first preview and to the end, and milliseconds to the token view, in a browser."""
    from playwright.sync_api import sync_playwright

    from demos.screenshots import CHROMIUM

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        page.wait_for_selector("#tokens .window")
        typed = []
        for number in range(10):  # one digit is one token
            page.fill("#prompt textarea", f"{_TYPED} {number}")
            typed.append(page.evaluate(_UNTIL, f"{number}"))
        start = time.perf_counter()
        page.click("#draw")
        page.wait_for_selector("#cards .soon img")
        first = time.perf_counter() - start
        page.wait_for_selector("#cards button.card")
        end = time.perf_counter() - start
        browser.close()
    return {"first_preview_s": first, "ranked_s": end, "tokens_ms": median(typed[2:])}


# milliseconds until the last token of the view is the last word typed
_UNTIL = """word => new Promise(done => {
  const start = performance.now();
  const look = () => {
    const spans = document.querySelectorAll('#tokens .row span');
    if (spans.length && spans[spans.length - 1].textContent.startsWith(word)) done(performance.now() - start);
    else setTimeout(look, 2);
  };
  look();
})"""


def load(address: str, *, clients: int, requests: int) -> dict[str, Any]:
    """What became of clients x requests at once, and megabytes that the server has more than after a first round."""
    server = psutil.Process()
    # in a process of their own: twenty clients hold memory too
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        apart.submit(ask_all, address, clients, requests).result()
        before = server.memory_info().rss
        start = time.perf_counter()
        found = apart.submit(ask_all, address, clients, requests).result()
        wall = time.perf_counter() - start
        after = server.memory_info().rss
    return {"outcomes": dict(found), "wall_s": wall, "growth_mb": (after - before) / 2**20}


def ask_all(address: str, clients: int, requests: int) -> Counter[str]:
    """How often each outcome came of clients x requests at once."""
    prompts = world_prompts()
    everyone = [Client(address, verbose=False) for _ in range(clients)]

    def ask(number: int) -> list[str]:
        asked = [prompts[(number + i) % len(prompts)] for i in range(requests)]
        return [_outcome(everyone[number], prompt) for prompt in asked]

    with ThreadPoolExecutor(clients) as pool:
        found = Counter(
            outcome for outcomes in pool.map(ask, range(clients)) for outcome in outcomes
        )
    for client in everyone:
        client.close()
    return found


def _outcome(client: Client, prompt: str) -> str:
    try:
        told = client.predict(prompt, candidates=1, steps=2, api_name="/generate")
    except Exception as error:  # noqa: BLE001 - any refusal is an outcome
        return f"refused: {str(error)[:60]}"
    data = base64.b64decode(told["pictures"][0]["png"].partition("base64,")[2])
    own = json.loads(Image.open(BytesIO(data)).text["clipcond"])["prompt"] == prompt
    return "own picture" if own else "ANOTHER'S PICTURE"


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--requests", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    blocks, address = serve(open_studio(), block=False)
    machine = {
        "cpu": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }
    told = {
        "machine": machine,
        **latency(address),
        "load": load(address, clients=arguments.clients, requests=arguments.requests),
    }
    blocks.close()
    text = json.dumps(told, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
