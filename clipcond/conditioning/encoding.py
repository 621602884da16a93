"""A call's forwards: the rows of every prompt through each of a family's text encoders."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby

import torch

from clipcond.conditioning.assembly import Encoded
from clipcond.conditioning.cache import EmbeddingCache
from clipcond.conditioning.paths import TextPath
from clipcond.conditioning.plan import assemble, content, make_plan, pool
from clipcond.conditioning.reading import Reading
from clipcond.conditioning.value import EncoderStats
from clipcond.encoders import EncoderOutput, batches, config_of, exclusive, joined
from clipcond.errors import PromptSyntaxError
from clipcond.tokens import Frame
from clipcond.weighting import Mode, Row

_LARGE = 1000.0


def encode(
    paths: Sequence[TextPath],
    readings: Mapping[str, list[Reading]],
    *,
    mode: Mode,
    pooled: str,
    t5_length: int,
    memory_limit: int,
    cache: EmbeddingCache | None,
    count: int,
) -> tuple[dict[str, Encoded], dict[str, EncoderStats]]:
    """One plan and one forward for each encoder; CLIPs that share their positions get as many windows.

    Args:
        paths: the encoders.
        readings: encoder slot -> the positive prompts it reads, then the negative ones.
        mode: what weights do.
        pooled: a key of `plan.POOLED`.
        t5_length: positions of a row of a T5 or a language model.
        memory_limit: bytes of activations, about, that one forward may take.
        cache: of rows encoded before.
        count: how many of the readings are positive.
    """
    shared = [path.role.slot for path in paths if path.role.sequence and path.role.windowed]
    longest = max((r.length for slot in shared for r in readings[slot]), default=0)
    results, stats = {}, {}
    for path in paths:
        slot, tokenizer = path.role.slot, path.tokenizer_for(t5_length)
        read_here = path.kept(readings[slot], pooled)
        length = longest if slot in shared else max(r.length for r in read_here)
        plan = make_plan(read_here, mode, tokenizer, length)
        run = partial(_forwards, path, tokenizer.frame, memory_limit)
        vectors = None
        with exclusive(path.encoder.module):
            if cache is None:
                outputs = run(plan.rows)
                output = joined(outputs)
                stats[slot] = EncoderStats(calls=len(outputs), rows=len(plan.rows))
            else:
                output, stats[slot] = cache.encode(path.encoder, plan.rows, run)
            if output.ends is not None:
                # each side for itself, as the pipelines do: a product's last bits depend on how many rows it has
                sides = pool(plan, output.ends, pooled).split(count)
                vectors = torch.cat([path.encoder.project(side) for side in sides])
        states = assemble(plan, output.states)
        results[slot] = Encoded(
            states=states,
            pooled=vectors,
            content=content(plan).to(states.device),
            layers=getattr(path.encoder, "layers", 1),
        )
    return results, stats


def _forwards(
    path: TextPath, frame: Frame, memory_limit: int, rows: Sequence[Row]
) -> list[EncoderOutput]:
    """Rows that are not to be padded share a forward with others of their length only: padding changes last bits."""
    encoder, alike = path.encoder, [rows]
    if path.role.padding == "none":
        alike = [list(group) for _, group in groupby(rows, lambda row: len(row.ids))]
    return [
        encoder.encode(part, eos=frame.eos, pad=frame.pad)
        for group in alike
        for part in batches(group, config_of(encoder.module), memory_limit)
    ]


def check_finite(embeds: torch.Tensor, readings: Sequence[Reading]) -> None:
    """Weights large enough to leave the encoder's dtype are an error, not a black picture.

    Raises:
        PromptSyntaxError: they have.

    States are of order 1 to 30, so only weights over 1000 can (half precision ends at 65504); the tensors are looked
    at only then, since looking waits for the device.
    """
    for reading, states in zip(readings, embeds, strict=True):
        found = [(part, f) for part, _ in reading.prompt.branches for f in part.fragments()]
        part, fragment = max(found, key=lambda pair: abs(pair[1].weight), default=(None, None))
        if fragment is None or abs(fragment.weight) <= _LARGE:
            continue
        if not math.isfinite(states.abs().max().item()):
            raise PromptSyntaxError(
                f"the weight {fragment.weight:.4g} is more than {embeds.dtype} states can take",
                part.text,
                fragment.span,
                "lower it: weights beyond 2 rarely help",
            )
