"""The shipped model in a studio, and its page; gradio has to be there."""

import socket
import warnings
from urllib.parse import urlsplit

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'clipcond[demo]'")

from demos.app import serve
from demos.studio import open_studio

PATIENCE = 180_000  # milliseconds, on a machine that is busy


@pytest.fixture(scope="session")
def studio():
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # what diffusers says while loading, as `clipcond app` hushes it
        return open_studio()


@pytest.fixture(scope="session")
def address(studio):
    # two workers must not both look for the first free port from 7860
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    blocks, address = serve(studio, port=port, block=False)
    yield address
    blocks.close()


@pytest.fixture
def visit(browser, address):
    """visit(query, **options) opens the page; after the test, no error was logged and no other host was asked."""
    pages, complaints, hosts = [], [], set()

    def visit(query="", **options):
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 860}, **options})
        page.set_default_timeout(PATIENCE)
        pages.append(page)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        page.goto(f"{address}{query}")
        page.wait_for_selector("#tokens .window")
        return page

    yield visit
    for page in pages:
        page.close()
    assert complaints == []
    assert hosts - {""} == {urlsplit(address).netloc}
