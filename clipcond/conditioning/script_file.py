"""The scripts of a conditioning as JSON and tensors, and back: prompts as typed, to be read again; all else as data.

{"row": 0}                                             Constant
{"prompts": [[text, dialect]], "places": [[Said, 0]]}  Steps: one prompt an encoder, and the row of all that they say
{"shares": [0.0, 0.4], "keys": [0, 1], "easing": "linear", "curve": "lerp"}      Keyframes
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch

from clipcond.errors import CheckpointError, ClipcondError
from clipcond.hooks.easing import CURVES, EASINGS
from clipcond.hooks.program import (
    Constant,
    Keyframes,
    Part,
    Place,
    Script,
    Scripts,
    Steps,
    Track,
)
from clipcond.hooks.region import Region
from clipcond.prompt import parse
from clipcond.prompt.states import Said

Tensors = Mapping[str, torch.Tensor]


def write_scripts(scripts: Scripts) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What `read_scripts` reads: JSON, and the masks of regions by the names that it has for them."""
    masks: dict[str, torch.Tensor] = {}
    return {side: [_written(s, masks) for s in rows] for side, rows in scripts.items()}, masks


def read_scripts(written: Mapping[str, Any], masks: Tensors, counts: Mapping[str, int]) -> Scripts:
    """What `write_scripts` wrote.

    Args:
        written: the JSON.
        masks: by their names.
        counts: for each side, how many rows it has.

    Raises:
        CheckpointError: it is nothing that was written so, or speaks of rows that are not there.
    """
    try:
        scripts = {side: tuple(_read(s, masks) for s in written[side]) for side in counts}
    except (AttributeError, ClipcondError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"the scripts of this conditioning are damaged ({type(error).__name__}: {error}); condition and save again"
        ) from error
    for side, rows in scripts.items():
        found = {row for script in rows for track in _tracks(script) for row in track.rows}
        if not found <= set(range(counts[side])):
            raise CheckpointError(
                f"the scripts of this conditioning speak of the rows {sorted(found)} of its {side} side, which has "
                f"{counts[side]}; condition and save again"
            )
    return scripts


def _tracks(script: Script) -> list[Track]:
    return [*(part.track for part in script.parts), *(place.track for place in script.places)]


def _written(script: Script, masks: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {
        "parts": [
            {"operator": part.operator, "weight": part.weight, "track": _written_track(part.track)}
            for part in script.parts
        ],
        "places": [
            {**_written_region(place.region, masks), "track": _written_track(place.track)}
            for place in script.places
        ],
    }


def _read(written: Mapping[str, Any], masks: Tensors) -> Script:
    parts = tuple(
        Part(_read_track(part["track"]), part["operator"], part["weight"])
        for part in written["parts"]
    )
    places = tuple(
        Place(_read_region(place, masks), _read_track(place["track"]))
        for place in written["places"]
    )
    if not parts:
        raise ValueError("a script without parts")
    return Script(parts, places)


def _written_track(track: Track) -> dict[str, Any]:
    match track:
        case Constant(row):
            return {"row": row}
        case Steps(prompts, places):
            return {
                "prompts": [[prompt.text, prompt.dialect] for prompt in prompts],
                "places": list(places.items()),
            }
        case Keyframes():
            return asdict(track)
    raise ClipcondError(
        f"{type(track).__name__}: no file holds what it says; save what it was made of"
    )


def _read_track(written: Mapping[str, Any]) -> Track:
    if "row" in written:
        return Constant(int(written["row"]))
    if "prompts" in written:
        # a branch of a prompt with AND was written alone, so that nothing divides it
        prompts = tuple(parse(text, dialect).without_tags for text, dialect in written["prompts"])
        return Steps(prompts, {_said(what): int(row) for what, row in written["places"]})
    shares, keys = tuple(written["shares"]), tuple(map(int, written["keys"]))
    easing, curve = written["easing"], written["curve"]
    if not (easing in EASINGS and curve in CURVES and len(keys) == len(shares) > 0 == shares[0]):
        raise ValueError(f"keyframes {written}")
    return Keyframes(shares, keys, easing, curve)


def _said(written: Sequence[Sequence[Sequence[Any]]]) -> Said:
    return tuple(tuple((text, weight) for text, weight in prompt) for prompt in written)


def _written_region(region: Region, masks: dict[str, torch.Tensor]) -> dict[str, Any]:
    written = {"prompt": region.prompt, "weight": region.weight, "box": region.box}
    if region.mask is None:
        return written
    name = f"mask_{len(masks)}"
    masks[name] = torch.as_tensor(region.mask).clone()  # a file's tensors share no memory
    return {**written, "mask": name}


def _read_region(written: Mapping[str, Any], masks: Tensors) -> Region:
    mask = masks[written["mask"]] if "mask" in written else None
    return Region(written["prompt"], box=written["box"], mask=mask, weight=written["weight"])
