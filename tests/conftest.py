"""Settings of every test run: no network, one thread per process, reproducible hypothesis."""

import os

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
