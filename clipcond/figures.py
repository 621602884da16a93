"""Pictures with captions as HTML that holds them itself, for notebooks."""

import base64
from collections.abc import Iterable
from html import escape
from io import BytesIO

from PIL import Image

_SIDE = 256  # pixels that larger pictures are shrunk to
_SHOWN = 128  # of CSS, of the longer side


def figures(pictures: Iterable[tuple[Image.Image, str]]) -> str:
    """Pictures side by side, each above its caption, in as many lines as it takes; no scripts."""
    each = "".join(_figure(picture, caption) for picture, caption in pictures)
    return f'<div style="display:flex;flex-wrap:wrap;gap:8px">{each}</div>'


def _figure(picture: Image.Image, caption: str) -> str:
    small = picture.convert("RGB")
    small.thumbnail((_SIDE, _SIDE))
    buffer = BytesIO()
    small.save(buffer, "PNG", optimize=True)
    data, said = base64.b64encode(buffer.getvalue()).decode(), escape(caption)
    wide = round(_SHOWN * min(1, small.width / small.height))
    return (
        f'<figure style="margin:0;width:{max(wide, 64)}px;overflow-wrap:anywhere">'
        f'<img src="data:image/png;base64,{data}" alt="{said}" style="width:{wide}px">'
        f"<figcaption><small>{said}</small></figcaption></figure>"
    )
