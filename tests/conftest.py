"""Settings of every test run: no network, one thread per process, reproducible hypothesis; and the one browser."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")

try:
    from hypothesis import HealthCheck, settings
except ImportError:  # tests/gpu runs without
    pass
else:
    settings.register_profile(
        "ci",
        derandomize=True,
        max_examples=50,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    settings.load_profile("ci")


@pytest.fixture(scope="session")
def browser():
    """One for all tests of a process: while playwright runs, no second one can be started beside it."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
    from demos.screenshots import CHROMIUM

    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}")
    with sync_api.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()
