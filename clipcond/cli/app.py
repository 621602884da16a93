"""`clipcond app`: the models, then the page. The page itself is in demos/, which the wheel carries as clipcond.demos."""

import importlib
import importlib.util
import signal
from dataclasses import dataclass
from types import ModuleType

from clipcond.cli.arguments import DEVICE, MODEL, option
from clipcond.cli.terminal import hush_loading, note
from clipcond.cli.values import count
from clipcond.errors import ClipcondError


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """open the demo: a page that shows all this in a browser"""

    model: str = option("M", MODEL, default="emoji")
    scorer: list[str] | None = option(
        "C",
        "a CLIP that ranks; a second one is shown beside it (default: the model's own clip/)",
        action="append",
    )
    host: str = option("H", "address to listen on", default="127.0.0.1")
    port: int | None = option("P", "port (default: the first free one from 7860)", type=count)
    auth: str | None = option("USER:PASSWORD", "ask visitors for this")
    batch_size: int = option("N", "pictures at once", default=8, type=count)
    device: str | None = option(*DEVICE)


def run(request: Request) -> int:
    """Load, then serve until interrupted or told to end, as service managers and containers do."""
    auth = _credentials(request.auth)
    # as Ctrl-C, so that uploads are deleted; the first process of a container would ignore it otherwise
    signal.signal(signal.SIGTERM, signal.default_int_handler)
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
