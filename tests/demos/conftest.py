"""The shipped model in a studio; gradio has to be there."""

import socket
import warnings

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'clipcond[demo]'")

from demos.app import serve
from demos.studio import open_studio


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
