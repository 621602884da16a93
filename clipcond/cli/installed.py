"""`clipcond --version`: what is installed, from packages' metadata."""

import argparse
import platform
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import clipcond

_LIBRARIES = ("torch", "diffusers", "transformers")
_FOR_DEVELOPMENT = ("dev",)  # extras that users have no use for


class Version(argparse.Action):
    """`--version`, made only when it is asked for, since it looks into many packages."""

    def __init__(self, **how: Any) -> None:
        super().__init__(nargs=0, **how)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print, and end."""
        print(installed())  # noqa: T201 - the answer itself
        parser.exit()


def installed() -> str:
    """A line a library with its version, and a line an extra: there, or what it lacks and how to get it."""
    lines = [("clipcond", clipcond.__version__), ("python", platform.python_version())]
    for name in _LIBRARIES:
        found = _version(name)
        on = f" on {_device(found)}" if found and name == "torch" else ""
        lines.append((name, f"{found}{on}" if found else "not installed"))
    lines += _extras()
    wide = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:{wide}}  {told}" for name, told in lines)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _device(torch_version: str) -> str:
    """What a command without --device runs on."""
    if torch_version.endswith("+cpu"):
        return "cpu"  # known without the second that importing torch takes
    import torch

    from clipcond.models import pick_device

    device = pick_device(None)
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _extras() -> Iterator[tuple[str, str]]:
    from packaging.requirements import Requirement

    try:
        own = metadata.metadata("clipcond")
    except metadata.PackageNotFoundError:  # a checkout on the path says nothing of its extras
        return
    required = [Requirement(line) for line in own.get_all("Requires-Dist") or ()]
    for extra in own.get_all("Provides-Extra") or ():
        if extra in _FOR_DEVELOPMENT:
            continue
        lacking = [
            f"{each.name}{each.specifier}"
            for each in required
            if each.marker and each.marker.evaluate({"extra": extra}) and not _is_met(each)
        ]
        told = (
            f"lacks {', '.join(lacking)}: pip install 'clipcond[{extra}]'" if lacking else "there"
        )
        yield f"[{extra}]", told


def _is_met(requirement: Any) -> bool:
    found = _version(requirement.name)
    return found is not None and requirement.specifier.contains(found, prereleases=True)
