"""What a PNG says about itself: everything as JSON under `clipcond`, and A1111's text under `parameters`.

The second is what image browsers and web UIs read: the prompt, a line `Negative prompt: ...`, and a line of
`Key: value` pairs, values with commas or colons quoted as JSON (modules/infotext_utils.py, re_param).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from clipcond.errors import ClipcondError
from clipcond.generation import plain_text

_PAIR = re.compile(r'(\w[\w \-/]*): ("(?:\\.|[^\\"])*"|[^,]*)(?:, |$)')
_SETTINGS = "Steps: "  # how A1111's last line begins


@dataclass(frozen=True, slots=True)
class Told:
    """What a PNG says it shows.

    Attributes:
        text: the prompt without weights and the like, as it is to be scored.
        seed: None where it does not say.
        model: "" where it does not say.
    """

    text: str
    seed: int | None
    model: str


def png_info(
    provenance: Mapping[str, Any],
    *,
    seed: int,
    scored: Mapping[str, Any],
    size: tuple[int, int],
) -> PngInfo:
    """Both texts as PNG chunks.

    Args:
        provenance: of a Generation.
        seed: of this picture.
        scored: what else is known of this picture: {"score": 0.3}, say.
        size: (width, height) in pixels.
    """
    info = PngInfo()
    record = {**provenance, "seed": seed, **scored}
    info.add_text("clipcond", json.dumps(record))
    info.add_text("parameters", a1111_parameters(provenance, seed=seed, size=size))
    return info


def a1111_parameters(provenance: Mapping[str, Any], *, seed: int, size: tuple[int, int]) -> str:
    """The `parameters` text of AUTOMATIC1111's web UI."""
    settings = provenance["settings"]
    pairs = {
        "Steps": settings.get("num_inference_steps"),
        "Sampler": provenance["scheduler"],
        "CFG scale": settings.get("guidance_scale"),
        "Denoising strength": settings.get("strength"),
        "Seed": seed,
        "Size": f"{size[0]}x{size[1]}",
        "Model": provenance["model"],
    }
    lines = [provenance["prompt"]]
    if provenance["negative_prompt"]:
        lines.append(f"Negative prompt: {provenance['negative_prompt']}")
    lines.append(", ".join(f"{k}: {_quoted(v)}" for k, v in pairs.items() if v is not None))
    return "\n".join(lines)


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(c in text for c in ',\n:"') else text


def read_told(image: Image.Image) -> Told | None:
    """What an opened PNG says it shows, by this library's or A1111's text; None where it has neither.

    Raises:
        ClipcondError: a text that cannot be understood.
    """
    ours, theirs = (image.info.get(key) for key in ("clipcond", "parameters"))
    if isinstance(ours, str):
        try:
            record = json.loads(ours)
            return Told(record["scored_text"], int(record["seed"]), str(record["model"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ClipcondError(
                f"its text `clipcond` is damaged ({error!r}); name its prompt in a table"
            ) from error
    return _of_parameters(theirs) if isinstance(theirs, str) else None


def _of_parameters(text: str) -> Told:
    *lines, last = text.strip().split("\n")
    pairs: dict[str, str] = {}
    if last.startswith(_SETTINGS):
        pairs = {m[1]: m[2].strip('"') for m in _PAIR.finditer(last)}
    else:
        lines.append(last)
    end = next((i for i, line in enumerate(lines) if line.startswith("Negative prompt:")), None)
    seed, steps = pairs.get("Seed", ""), pairs.get("Steps", "")
    known = {"steps": int(steps)} if steps.isdigit() and int(steps) else {}
    return Told(
        plain_text("\n".join(lines[:end]), "a1111", **known),
        int(seed) if seed.isdigit() else None,
        pairs.get("Model", ""),
    )
