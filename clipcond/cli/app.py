"""`clipcond app`: the models, then the page. The page itself is in demos/, which the wheel carries as clipcond.demos."""

import argparse
import importlib
import importlib.util
from dataclasses import dataclass
from types import ModuleType

from clipcond.cli.arguments import add_device, add_model, unpack
from clipcond.cli.terminal import hush_loading, note
from clipcond.cli.values import count
from clipcond.errors import ClipcondError

SUMMARY = "open the demo: a page that shows all this in a browser"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was typed."""

    model: str
    scorer: list[str] | None
    host: str
    port: int | None
    auth: str | None
    batch_size: int
    device: str | None


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The models, and where and to whom the page is shown."""
    add_model(command)
    command.add_argument(
        "--scorer",
        action="append",
        metavar="C",
        help="a CLIP that ranks; a second one is shown beside it (default: the model's own clip/)",
    )
    command.add_argument(
        "--host", default="127.0.0.1", metavar="H", help="address to listen on (default 127.0.0.1)"
    )
    command.add_argument(
        "--port", type=count, metavar="P", help="port (default: the first free one from 7860)"
    )
    command.add_argument("--auth", metavar="USER:PASSWORD", help="ask visitors for this")
    command.add_argument(
        "--batch-size", type=count, default=8, metavar="N", help="pictures at once (default 8)"
    )
    add_device(command)


def run(arguments: argparse.Namespace) -> int:
    """Load, then serve until interrupted."""
    request = unpack(Request, arguments)
    auth = _credentials(request.auth)
    app, studio = _demo("app"), _demo("studio")
    note(f"loading {request.model}")
    hush_loading("transformers")
    hush_loading("diffusers")
    loaded = studio.open_studio(
        request.model,
        request.scorer or (),
        device=request.device,
        batch_size=request.batch_size,
    )
    for name, scorer in loaded.scorers.items():
        for line in scorer.clip.assumed:
            note(f"{name}: taken to have {line}")
    try:
        app.serve(loaded, host=request.host, port=request.port, auth=auth)
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
