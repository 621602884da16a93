"""201 attempts to bring markup and scripts through the inputs of the page: none of them runs, and the console stays silent."""

import zipfile
from io import BytesIO
from urllib.parse import urlencode

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from demos.screenshots import open_tab

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]
PAYLOADS = (
    "<img src=x onerror=pwned=1>",
    "<svg onload=pwned=1>",
    "<script>pwned=1</script>",
    '"><script>pwned=1</script>',
    "'><img src=x onerror=pwned=1>",
    "</textarea><script>pwned=1</script>",
    "</title><svg/onload=pwned=1>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "<a href=javascript:pwned=1 autofocus onfocus=pwned=1>x</a>",
    "<details open ontoggle=pwned=1>x</details>",
    "<video><source onerror=pwned=1></video>",
    "<math><mtext></p><img src=x onerror=pwned=1>",
    "<input autofocus onfocus=pwned=1>",
    'x" onmouseover=pwned=1 onload=pwned=1 y="',
    "{{constructor.constructor('pwned=1')()}}",
    '![x](x"onerror="pwned=1)<object data=javascript:pwned=1>',
)


def unharmed(page, attempts):
    """How many attempts were made on a page, none of which ran a script."""
    assert page.evaluate("window.pwned") is None
    return attempts


def png(text):
    """A picture that says something in its PNG text and its EXIF."""
    info, buffer = PngInfo(), BytesIO()
    for key in ("clipcond", "parameters", "prompt"):
        info.add_text(key, text)
    exif = Image.Exif()
    exif[0x010E] = text  # its description
    Image.new("RGB", (40, 40), "red").save(buffer, "PNG", pnginfo=info, exif=exif)
    return buffer.getvalue()


def uploads():
    """Pictures of hostile names and metadata, and a zip of the same with hostile prompts."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for payload in PAYLOADS:
            archive.writestr(payload.replace("/", "") + ".png", png(payload))
        archive.writestr("prompts.txt", "\n".join(PAYLOADS))
    files = [dict(name=f"{p.replace('/', '')}.png", mimeType="image/png", buffer=png(p)) for p in PAYLOADS]  # fmt: skip
    return [*files, dict(name="<b>.zip", mimeType="application/zip", buffer=buffer.getvalue())]


def test_addresses(visit):
    made = 0
    for payload in PAYLOADS[:6]:
        query = dict(prompt=payload, negative=payload, candidates=1, steps=1, __theme=payload)
        page = visit("?" + urlencode(query))
        page.wait_for_selector("#visit button.card")
        page.hover("#visit button.card")
        made += unharmed(page, 3)  # prompt, negative prompt and theme
        page.close()
    assert made == 18


def test_prompts_while_they_are_typed(visit):
    page = visit()
    for payload in PAYLOADS:
        for box, shown in (("#prompt", "#tokens"), ("#negative", "#negative-tokens")):
            page.fill(f"{box} textarea", f"{payload} (oops")
            page.wait_for_selector(f"{shown} .note pre")
            page.fill(f"{box} textarea", "")
            page.wait_for_selector(f"{shown} .note pre", state="detached")
    made = unharmed(page, 2 * len(PAYLOADS))
    open_tab(page, "Steps")
    for payload in PAYLOADS:
        page.fill("#steps-prompt textarea", f"[{payload}:b:0.5] (oops")
        page.wait_for_selector("#timeline .note pre")
        page.fill("#steps-prompt textarea", "")
        page.wait_for_selector("#timeline .note pre", state="detached")
    assert made + unharmed(page, len(PAYLOADS)) == 48


def test_uploads(visit):
    page, files = visit(), uploads()
    open_tab(page, "Judge")
    page.set_input_files("#files input[type=file]", files)
    page.wait_for_selector("#files .file-preview")
    page.click("#rank")
    page.wait_for_selector("#judged td.heat")
    # names and metadata of files, names and metadata of zip members, prompts of a zip
    made = unharmed(page, 5 * len(PAYLOADS))
    page.fill("#classes textarea", "\n".join(PAYLOADS))
    page.click("#classify")
    page.wait_for_selector("#judged table.clauses")
    made += unharmed(page, len(PAYLOADS))
    open_tab(page, "Search")
    page.set_input_files("#search-files input[type=file]", files[:4])
    page.wait_for_selector("#search-files .file-preview")
    for payload in PAYLOADS:
        page.fill("#query input, #query textarea", f'"{payload}"')
        page.click("#search")
        page.wait_for_selector("#search:not([disabled])")
    page.wait_for_selector("#searched button.card")
    assert made + unharmed(page, len(PAYLOADS)) == 112


def test_what_is_quoted_and_compared(visit):
    page = visit()
    open_tab(page, "World")
    for payload in PAYLOADS[:6]:
        page.fill("#scene textarea, #scene input", payload)
        page.click("#compose")
        page.wait_for_selector(".toast-body :text('pwned')")
        page.locator(".toast-close").first.click()
        page.wait_for_selector(".toast-body", state="detached")
        unharmed(page, 1)  # quoted in a toast
    open_tab(page, "Evaluate")
    page.locator("#steps-A input[type=number]").fill("1")
    page.locator("#steps-B input[type=number]").fill("2")
    page.fill("#template-A textarea, #template-A input", PAYLOADS[0] + "{prompt}")
    page.get_by_text("Prompts of your own").click()
    page.fill("#evaluate-prompts textarea", "\n".join(PAYLOADS))
    page.click("#evaluate")
    page.wait_for_selector("#evaluated .pair")
    assert 6 + unharmed(page, len(PAYLOADS) + 1) == 23
