"""`clipcond app`: the models, then the page. The page itself is in demos/, which the wheel carries as clipcond.demos."""

import argparse
import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType

import torch

from clipcond.cli.models import (
    is_emoji,
    load_pipeline,
    load_scorer,
    locate,
    own_scorer,
    pick_device,
)
from clipcond.cli.terminal import note
from clipcond.conditioning import Conditioner
from clipcond.errors import ClipcondError


def run(arguments: argparse.Namespace) -> int:
    """Load, then serve until interrupted."""
    auth = _credentials(arguments.auth)
    app, studio = (_demo(name) for name in ("app", "studio"))
    note(f"loading {arguments.model}")
    loaded = _load(arguments, studio)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        app.serve(loaded, host=arguments.host, port=arguments.port, auth=auth)
    except OSError as error:
        raise ClipcondError(f"--port: {error}") from error
    return 0


def _load(arguments: argparse.Namespace, studio: ModuleType) -> object:
    """A `demos.studio.Studio`."""
    location = locate(arguments.model)
    shipped = is_emoji(location)
    device = pick_device(arguments.device)
    dtype = torch.float32 if device.type == "cpu" else torch.float16
    names = arguments.scorer or [own_scorer(location)]
    if shipped and not arguments.scorer and (judge := studio.second_opinion()):
        names.append(judge)
    pipe = load_pipeline(location, device=device, dtype=dtype)
    pipe.set_progress_bar_config(disable=True)
    return studio.Studio(
        pipe=pipe,
        scorers={_title(name): load_scorer(name, device) for name in names},
        conditioner=Conditioner.from_pipeline(pipe),
        model=str(arguments.model),
        shipped=shipped,
        batch_size=arguments.batch_size,
    )


def _title(name: str) -> str:
    """A CLIP's name for the page: its folder, or the model's whose clip/ it is."""
    path = Path(name)
    return path.parent.name if path.name == "clip" else path.name


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
        raise ClipcondError("--auth: needs USER:PASSWORD")
    return user, password
