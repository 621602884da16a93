"""`clipcond app`: the models, then the page. The page itself is in demos/, which the wheel carries as clipcond.demos."""

import argparse
import importlib
import importlib.util
from types import ModuleType

from clipcond.cli.terminal import note
from clipcond.errors import ClipcondError


def run(arguments: argparse.Namespace) -> int:
    """Load, then serve until interrupted."""
    auth = _credentials(arguments.auth)
    app, studio = _demo("app"), _demo("studio")
    note(f"loading {arguments.model}")
    loaded = studio.open_studio(
        arguments.model,
        arguments.scorer or (),
        device=arguments.device,
        batch_size=arguments.batch_size,
    )
    try:
        app.serve(loaded, host=arguments.host, port=arguments.port, auth=auth)
    except OSError as error:
        raise ClipcondError(f"--host, --port: cannot listen there ({error})") from error
    return 0


def _demo(name: str) -> ModuleType:
    """A module of the app, from the installed package or the checkout beside it."""
    package = "clipcond.demos" if importlib.util.find_spec("clipcond.demos") else "demos"
    try:
        return importlib.import_module(f"{package}.{name}")
    except ModuleNotFoundError as error:
        if error.name not in ("gradio", "demos"):
            raise
        raise ClipcondError(
            "the app needs gradio, which is not installed: pip install 'clipcond[demo]'"
        ) from error


def _credentials(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise ClipcondError("--auth: got no USER:PASSWORD; both are needed, with a colon between")
    return user, password
