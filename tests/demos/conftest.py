"""The shipped model in a studio; gradio has to be there."""

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
    blocks, address = serve(studio, block=False)
    yield address
    blocks.close()
