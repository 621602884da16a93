"""HTML pages that need no other file: a Jinja template of a package, and pictures inside of the page."""

import base64
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from clipcond.errors import ClipcondError
from clipcond.files import write_whole


def write_page(path: Path, package: str, template: str, **values: Any) -> None:
    """Write a page.

    Args:
        path: .html.
        package: where the template is.
        template: its file; what it shows is escaped unless it says otherwise.
        values: by the names that it has for them.

    Raises:
        ClipcondError: Jinja is missing, or the file cannot be written.
    """
    try:
        from jinja2 import Environment
    except ImportError as error:
        raise ClipcondError(f"{path}: a page needs jinja2: pip install jinja2") from error
    source = (resources.files(package) / template).read_text(encoding="utf-8")
    page = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(source)
    text = page.render(**values)
    write_whole(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8"))


def data_url(picture: Image.Image, edge: int) -> str:
    """A picture as part of a page, no larger than `edge` pixels: PNG where it was so small already, else JPEG."""
    small = max(picture.size) <= edge
    shown = picture.copy()
    shown.thumbnail((edge, edge), Image.Resampling.LANCZOS)
    stored = BytesIO()
    shown.save(stored, "PNG" if small else "JPEG", quality=85)
    kind = "png" if small else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(stored.getvalue()).decode()}"
