"""The golden cases, by the name of their file."""

import json
from pathlib import Path
from typing import Any


def cases(name: str) -> Any:
    return json.loads(Path(__file__).with_name(f"{name}.json").read_text(encoding="utf-8"))
