"""The shipped model in a studio; gradio has to be there."""

import pytest

pytest.importorskip("gradio", reason="the demo needs gradio: pip install 'clipcond[demo]'")

from demos.studio import open_studio


@pytest.fixture(scope="session")
def studio():
    return open_studio()
