"""`render` and `convert`: prompts back to text, in their own dialect or another.

What is unusual: nothing is believed. Every text that is written is read again; `render` gives back the source where
the result would not say the same, and `convert` warns.
"""

import re
import warnings
from collections.abc import Iterator
from itertools import groupby

from clipcond.errors import PromptConversionWarning, PromptSyntaxError
from clipcond.prompt.contract import Dialect
from clipcond.prompt.dialects import DIALECTS, check_dialect, parse
from clipcond.prompt.tree import Prompt, shortened

# a run of letters, a digit, or a run of signs: what CLIP's tokenizers keep together, whatever blanks are between
_TOKEN = re.compile(r"[^\W\d_]+|\d|(?:[^\w\s]|_)+")
_JOINS = {
    "compose": "AND, which composes in noise space",
    "blend": ".blend, which averages embeddings",
    "concat": ".and, which concatenates embeddings",
}

_STEPS = 20  # of the run in which schedules are compared

Heard = tuple[object, ...]


def render(prompt: Prompt) -> str:
    """A prompt as text that reads as the same prompt, in its own dialect: `parse(render(p), p.dialect) == p`.

    Weights are multiplied out and brackets that change nothing left out, where the dialect has such a spelling;
    elsewhere, and where it names LoRAs, the prompt is its source.
    """
    written = DIALECTS[prompt.dialect].write(prompt, () if prompt.untagged else prompt.loras)
    try:
        same = parse(written, prompt.dialect) == prompt
    except PromptSyntaxError:
        same = False
    return written if same else prompt.text


def convert(text: str, source_dialect: str, target_dialect: str) -> str:
    """A prompt in another dialect.

    Args:
        text: the prompt as typed.
        source_dialect: the dialect that it is in.
        target_dialect: the dialect wanted.

    Raises:
        PromptSyntaxError: the prompt means nothing in its own dialect.
        ClipcondError: `text` is no string, or there is no such dialect.

    Warns:
        PromptConversionWarning: the target cannot say the same; the message names what and how it is written.
    """
    check_dialect(target_dialect)
    prompt = parse(text, source_dialect)
    if source_dialect == target_dialect:
        return render(prompt)
    target = DIALECTS[target_dialect]
    written = target.write(prompt.without_tags, prompt.loras)
    for reason in _losses(prompt, written, target):
        warnings.warn(
            f"{reason} (from {source_dialect} to {target_dialect}: {shortened(text)!r})",
            PromptConversionWarning,
            stacklevel=2,
        )
    return written


def _losses(prompt: Prompt, written: str, target: Dialect) -> Iterator[str]:
    """What the written text does not say."""
    bare = prompt.without_tags
    try:
        again = parse(written, target.name)
    except PromptSyntaxError as error:
        yield f"the result is refused: {error.message}"
        return
    known = list(_known_losses(prompt, again, target))
    heard = (
        _unlike(_heard(bare, step), _heard(again.without_tags, step))
        for step in range(_STEPS if bare.is_scheduled else 1)
    )
    yield from known or next(filter(None, map(list, heard)), [])


def _known_losses(prompt: Prompt, again: Prompt, target: Dialect) -> Iterator[str]:
    """What the target has no word for."""
    bare = prompt.without_tags
    segments = [s for branch, _ in bare.branches for s in branch.segments()]
    if bare.is_scheduled and not target.schedules:
        yield "schedules are not kept: this is what the first step says"
    if bare.joined != again.joined:
        yield f"{_JOINS[bare.joined]}, is not kept: the parts are joined by {target.joint}"
    if lost := sorted(set(bare.operators) - set(again.operators)):
        yield f"{', '.join(lost)} is not kept: what it joins is joined like the rest"
    if not target.breaks and any(s.is_break for s in segments):
        yield "BREAK is not kept: windows end where the text is too long"
    weights = [s.weight for s in segments if not s.is_break]
    if target.least is None and any(weight != 1 for weight in weights):
        yield "weights are not kept"
    if target.least is not None and min(weights, default=1.0) < target.least:
        yield f"weights below {target.least:g} are not kept: they become {target.least:g}"
    yield from _lost_tags(prompt, again)


def _lost_tags(prompt: Prompt, again: Prompt) -> Iterator[str]:
    """LoRAs, their second weights, and other tags."""
    kept = {(lora.name, lora.weight): lora for lora in again.loras}
    lost = [lora.name for lora in prompt.loras if (lora.name, lora.weight) not in kept]
    if lost:
        yield f"LoRAs are not kept: {', '.join(sorted(lost))}"
    halved = [
        lora.name
        for lora in prompt.loras
        if (other := kept.get((lora.name, lora.weight))) and other.unet_weight != lora.unet_weight
    ]
    if halved:
        yield f"a LoRA has one weight here, the text encoder's: {', '.join(sorted(halved))}"
    named = {lora.span for lora in prompt.loras}
    others = [prompt.text[slice(*tag.span)] for tag in prompt.tags if tag.span not in named]
    if others:
        yield f"tags are not kept: {', '.join(others)}"


def _unlike(meant: list[Heard], heard: list[Heard]) -> Iterator[str]:
    """The first token, if any, that is not the same."""
    if meant == heard:
        return
    at = next(
        (i for i, (a, b) in enumerate(zip(meant, heard, strict=False)) if a != b),
        min(len(meant), len(heard)),
    )
    wanted = f"{meant[at][0]!r} at {meant[at][1:]}" if at < len(meant) else "nothing"
    got = f"{heard[at][0]!r} at {heard[at][1:]}" if at < len(heard) else "nothing"
    yield f"not everything can be written: {wanted} is read back as {got}"


def _heard(prompt: Prompt, step: int) -> list[Heard]:
    """What an encoder hears at a step: (token, weight), blanks left out where they part nothing."""
    heard: list[Heard] = []
    for branch, branch_weight in prompt.branches:
        if prompt.joined:
            heard.append(("branch", branch_weight))
        line: list[tuple[str, float]] = []
        for segment in branch.segments(step, _STEPS):
            if segment.is_break:
                heard += [*_tokens(line, branch.separator or ""), ("BREAK",)]
                line = []
            else:
                line.append(segment)
        heard += _tokens(line, branch.separator or "")
    return heard


def _tokens(line: list[tuple[str, float]], separator: str) -> Iterator[Heard]:
    """A token never reaches over a change of weight: there is a blank, or what follows is tokenised by itself."""
    for weight, parts in groupby((part for part in line if part[0]), lambda part: part[1]):
        for token in _TOKEN.finditer(separator.join(text for text, _ in parts)):
            yield token[0], weight
