"""Build hook: the shipped models and the app travel in the wheel, at clipcond/weights/ and clipcond/demos/.

An editable installation takes none: it reads the checkout's, and a copy would go stale.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("weights/emoji", "weights/judge", "demos")


class ModelHook(BuildHookInterface):
    """Adds weights/emoji, weights/judge and demos to wheels."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is built; `version` tells a real one from an editable one."""
        if version == "standard":
            for folder in FOLDERS:
                build_data["force_include"][folder] = f"clipcond/{folder}"
