"""Build hook: the shipped model travels in the wheel, at clipcond/weights/emoji.

An editable installation takes none: it reads the checkout's, and a copy would go stale.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ModelHook(BuildHookInterface):
    """Adds weights/emoji to wheels."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a wheel is built; `version` tells a real one from an editable one."""
        if version == "standard":
            build_data["force_include"]["weights/emoji"] = "clipcond/weights/emoji"
