"""AUTOMATIC1111's tags, <word:anything>: data that the web UI takes out of a prompt before it reads the rest.

    <lora:name:0.8>               the text encoder's weight, and the unet's
    <lora:name:0.8:0.5>           the unet's own weight second; or by name, te=0.8 and unet=0.5
    <hypernet:name:0.6> <a:b>     other kinds, known or not

What is unusual: every such word is a tag, whether something knows it or not, and kinds are told apart by case.
"""

import math
import re
from dataclasses import dataclass

from clipcond.prompt.tree import Diagnostic, Lora, Tag

_TAG = re.compile(r"<(\w++):([^>]++)>")
_LORA_KINDS = ("lora", "lyco")  # two names of one thing
_READ = ("name", "te", "unet")  # a LoRA's arguments, in this order or by name


@dataclass(frozen=True, slots=True)
class Tagged:
    """The tags of a text.

    Attributes:
        tags: all of them.
        loras: those that name a LoRA and its weights.
        notes: one for each tag: nothing here acts on it.
    """

    tags: tuple[Tag, ...]
    loras: tuple[Lora, ...]
    notes: tuple[Diagnostic, ...]


def read(text: str) -> Tagged:
    """Every tag of a text, in linear time: what has no `>` after it is none."""
    end = text.rfind(">") + 1
    found = list(_TAG.finditer(text, 0, end)) if "<" in text else []
    tags = tuple(_read_one(tag[1], tag[2], tag.span()) for tag in found)
    loras = {tag.span: _lora(tag) for tag in tags if tag.kind in _LORA_KINDS}
    notes = tuple(_note(tag, loras.get(tag.span)) for tag in tags)
    return Tagged(tags, tuple(lora for lora in loras.values() if lora), notes)


def _read_one(kind: str, arguments: str, span: tuple[int, int]) -> Tag:
    """An argument with one `=` has a name."""
    items = arguments.split(":")
    named = dict(item.split("=") for item in items if item.count("=") == 1)
    return Tag(kind, tuple(item for item in items if item.count("=") != 1), named, span)


def _lora(tag: Tag) -> Lora | None:
    """What a tag names; None if it has no name, or a weight is no finite number. The unet's weight is the text
    encoder's unless one is given."""
    given = dict(zip(_READ, tag.positional, strict=False)) | {
        name: value for name, value in tag.named.items() if name != "name"
    }
    if not given.get("name"):
        return None
    try:
        weight = float(given.get("te", 1.0))
        unet_weight = float(given.get("unet", weight))
    except ValueError:
        return None
    if not (math.isfinite(weight) and math.isfinite(unet_weight)):
        return None
    return Lora(given["name"], weight, unet_weight, tag.span)


def _note(tag: Tag, lora: Lora | None) -> Diagnostic:
    if lora is not None:
        unread = [*tag.positional[len(_READ) :]]
        unread += [f"{name}={value}" for name, value in tag.named.items() if name not in _READ[1:]]
        rest = f", and {':'.join(unread)!r} not read" if unread else ""
        return Diagnostic(
            f"a LoRA is named here but not loaded{rest}",
            tag.span,
            "clipcond.apply_loras loads it into a pipeline; prompt.loras lists what was named",
        )
    if tag.kind in _LORA_KINDS:
        return Diagnostic(
            "this LoRA has no name, or its weight is no number: the tag is taken out and names nothing",
            tag.span,
            "write <lora:name:0.8>",
        )
    return Diagnostic(
        f"<{tag.kind}:...> is taken out of the text, as the web UI does with every tag, and nothing here reads it",
        tag.span,
        "a LoRA is <lora:name:0.8>, in small letters; prompt.tags lists what was taken out",
    )
