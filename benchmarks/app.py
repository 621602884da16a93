"""`python -m benchmarks.app`: how fast the app answers in a browser.

From the click to the first picture, and from the last key to the new token view. `benchmarks.serving` measures many clients at once.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path
from statistics import median

import torch

from demos.app import serve
from demos.studio import open_studio

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


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    arguments = parser.parse_args()
    blocks, address = serve(open_studio(), block=False)
    machine = {
        "cpu": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }
    told = {"machine": machine, **latency(address)}
    blocks.close()
    text = json.dumps(told, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
