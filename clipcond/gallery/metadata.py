"""What a PNG says about itself: everything as JSON under `clipcond`, and A1111's text under `parameters`.

The second is what image browsers and web UIs read: the prompt, a line `Negative prompt: ...`, and a line of
`Key: value` pairs, values with commas or colons quoted as JSON (modules/infotext_utils.py, re_param).
"""

import json
from collections.abc import Mapping
from typing import Any

from PIL.PngImagePlugin import PngInfo


def png_info(
    provenance: Mapping[str, Any], *, seed: int, score: float, size: tuple[int, int]
) -> PngInfo:
    """Both texts as PNG chunks.

    Args:
        provenance: of a Generation.
        seed: of this picture.
        score: of this picture.
        size: (width, height) in pixels.
    """
    info = PngInfo()
    record = {**provenance, "seed": seed, "score": score}
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
