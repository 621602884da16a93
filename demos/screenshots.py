"""`python -m demos.screenshots [FOLDER]`: the page's pictures in docs/img, taken from the running app.

Needs Debian's chromium and playwright (extra dev).
"""

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from clipcond import emoji

from .app import serve
from .studio import open_studio

CHROMIUM = "/usr/bin/chromium"
_PATIENCE = 240_000  # milliseconds, on a machine that is busy
_LARGE = 320_000  # bytes
_DESK, _PHONE = (1280, 860), (390, 1100)


def open_tab(page: Page, name: str) -> None:
    """Go to a tab, by the menu of those that have no place in the bar where it is there."""
    tab = page.get_by_role("tab", name=name)
    if not tab.is_visible():
        page.get_by_role("button", name="More tabs").click()
        tab = page.get_by_role("button", name=name, exact=True)
    tab.click()


def generate(page: Page) -> None:
    """Draw the page's own first prompt."""
    page.click("#draw")
    page.wait_for_selector("#cards button.card", timeout=_PATIENCE)
    page.wait_for_selector("#details .details", timeout=_PATIENCE)


def visit(page: Page) -> None:
    """Three drawings, each with one thing changed, and the first one looked at again."""
    for number, changed in enumerate(
        ("a red heart to the left of a fox", "a red heart to the left of a cat"), start=1
    ):
        generate(page)
        page.wait_for_selector(f"#visit [data-rank='{number - 1}']", timeout=_PATIENCE)
        page.fill("#prompt textarea", changed)
    page.click("#draw")
    page.wait_for_selector("#visit [data-rank='2']", timeout=_PATIENCE)
    page.click("#visit [data-rank='2']")
    page.wait_for_selector("#visit [data-rank='2'][aria-pressed=true]", timeout=_PATIENCE)


def slip(page: Page) -> None:
    """A prompt with a mistake, and a long one."""
    page.fill("#prompt textarea", "a (fox:1.4) and a [[frog]] (on a pink background")
    page.wait_for_selector("#tokens .note", timeout=_PATIENCE)
    generate(page)


def start(page: Page) -> None:
    """A scene's strawberry drawn anew as a fox."""
    page.fill("#prompt textarea", "a fox and a blue circle")
    page.get_by_text("Start from a picture").click()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "origin.png"
        emoji.render(emoji.sample(5), 64).save(path)
        page.set_input_files("#start-file input[type=file]", path)
        page.wait_for_selector("#start img", timeout=_PATIENCE)
    page.click("#draw")
    page.wait_for_selector("#visit button.card", timeout=_PATIENCE)


def weights(page: Page) -> None:
    """The grid and its curves."""
    open_tab(page, "Weights")
    page.click("#compare")
    page.wait_for_selector("#sweep svg", timeout=_PATIENCE)


def steps(page: Page) -> None:
    """A schedule and its states; guidance in an interval of the steps."""
    open_tab(page, "Steps")
    page.click("#mix")
    page.wait_for_selector("#mixture figcaption", timeout=_PATIENCE)
    page.wait_for_selector("#mix:not([disabled])", timeout=_PATIENCE)
    page.click("#interval-go")
    page.wait_for_selector("#interval .saved", timeout=_PATIENCE)


def attention(page: Page) -> None:
    """Where a word is looked at, chosen with the keyboard."""
    open_tab(page, "Attention")
    page.click("#look")
    page.wait_for_selector("#looked .looked", timeout=_PATIENCE)
    chosen = page.get_by_role("radio", name="pumpkin")
    chosen.focus()
    chosen.press("Space")
    page.wait_for_selector("#looked img[alt^='where pumpkin']", timeout=_PATIENCE)


def judge(page: Page) -> None:
    """Six pictures of the world, ranked."""
    open_tab(page, "Judge")
    with TemporaryDirectory() as folder:
        page.set_input_files("#files input[type=file]", pictures(Path(folder)))
        page.wait_for_selector("#files .file-preview", timeout=_PATIENCE)
        page.fill("#judge-prompts textarea", "a fox and a banana on a pink background")
        page.click("#rank")
        page.wait_for_selector("#judged table.told", timeout=_PATIENCE)


def evaluate(page: Page) -> None:
    """The page's own first question."""
    open_tab(page, "Evaluate")
    page.click("#evaluate")
    page.wait_for_selector("#evaluated .pair", timeout=_PATIENCE)
    page.wait_for_selector("#evaluate-report:visible", timeout=_PATIENCE)


def search(page: Page) -> None:
    """Two dozen pictures, asked for words, then for more like one of them."""
    open_tab(page, "Search")
    with TemporaryDirectory() as folder:
        scenes = []
        for number in range(24):
            path = Path(folder) / f"{number}.png"
            emoji.render(emoji.sample(number), 64).save(path)
            scenes.append(str(path))
        page.set_input_files("#search-files input[type=file]", scenes)
        page.wait_for_selector("#search-files .file-preview", timeout=_PATIENCE)
        page.fill("#query input, #query textarea", "a green heart + a fox")
        page.click("#search")
        page.wait_for_selector("#searched button.card", timeout=_PATIENCE)


def world(page: Page) -> None:
    """A scene read back, and a quiz answered."""
    open_tab(page, "World")
    page.click("#compose")
    page.wait_for_selector("#scenes .boxed", timeout=_PATIENCE)
    page.click("#ask")
    page.wait_for_selector("#quiz button.card", timeout=_PATIENCE)
    page.locator("#quiz button.card").nth(2).click()
    page.wait_for_selector("#quiz .crown", timeout=_PATIENCE)


# name -> (what to do, size of the window, colour scheme)
SHOTS: dict[str, tuple[Callable[[Page], None], tuple[int, int], str]] = {
    "app-generate": (generate, (1280, 1100), "light"),
    "app-visit": (visit, (1280, 1080), "light"),
    "app-start": (start, (1280, 1120), "light"),
    "app-generate-dark": (slip, _DESK, "dark"),
    "app-weights": (weights, (1280, 1500), "light"),
    "app-steps": (steps, (1280, 1620), "light"),
    "app-attention": (attention, (1280, 1060), "light"),
    "app-judge": (judge, (1280, 1170), "light"),
    "app-evaluate": (evaluate, (1280, 1420), "light"),
    "app-search": (search, (1280, 1000), "light"),
    "app-world": (world, (1280, 920), "light"),
    "app-phone": (generate, _PHONE, "light"),
}


def pictures(folder: Path) -> list[str]:
    """Six scenes as files."""
    captions = ("a fox and a banana on a pink background", "a banana on pink", "a fox", "two cats on mint",
                "a pumpkin left of a fox on a pink background", "a blue circle above a rocket")  # fmt: skip
    from .scene import compose

    paths = []
    for i, caption in enumerate(captions):
        path = folder / f"{caption.replace(' ', '-')}.png"
        emoji.render(compose(caption, i), 64).save(path)
        paths.append(str(path))
    return paths


def main(folder: str = "docs/img", *names: str) -> None:
    """Take them all, or those named."""
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    blocks, address = serve(open_studio(), port=None, block=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name in names or SHOTS:
            act, (width, height), scheme = SHOTS[name]
            options: dict[str, Any] = {"color_scheme": scheme}
            page = browser.new_page(viewport={"width": width, "height": height}, **options)
            page.goto(address)
            page.wait_for_selector("#tokens .window", timeout=_PATIENCE)
            act(page)
            page.mouse.move(0, 0)
            page.wait_for_timeout(400)
            page.screenshot(path=out / f"{name}.png")
            page.close()
            shrink(out / f"{name}.png")
            print(out / f"{name}.png", flush=True)
        browser.close()
    blocks.close()


def shrink(path: Path) -> None:
    """A page of many colours to 256 of them, to stay small."""
    if path.stat().st_size > _LARGE:
        with Image.open(path) as image:
            small = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        small.save(path, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
