"""A call's forwards: the rows of every prompt through each of a family's text encoders."""

from collections.abc import Mapping, Sequence

import torch

from clipcond.conditioning.assembly import Encoded
from clipcond.conditioning.cache import EmbeddingCache
from clipcond.conditioning.paths import TextPath
from clipcond.conditioning.plan import assemble, make_plan, pool
from clipcond.conditioning.reading import Reading
from clipcond.conditioning.value import EncoderStats
from clipcond.encoders import EncoderOutput, batches, joined
from clipcond.weighting import Mode, Row


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
        t5_length: positions of a T5 row.
        memory_limit: bytes of activations, about, that one forward may take.
        cache: of rows encoded before.
        count: how many of the readings are positive.
    """
    shared = [path.role.slot for path in paths if path.role.sequence and not path.role.is_t5]
    longest = max((r.length for slot in shared for r in readings[slot]), default=0)
    results, stats = {}, {}
    for path in paths:
        slot, tokenizer = path.role.slot, path.tokenizer_for(t5_length)
        read_here = path.kept(readings[slot], pooled)
        length = longest if slot in shared else max(r.length for r in read_here)
        plan = make_plan(read_here, mode, tokenizer, length)
        calls = 0

        def run(rows: Sequence[Row], path=path, frame=tokenizer.frame) -> EncoderOutput:
            nonlocal calls
            outputs = [
                path.encoder.encode(part, eos=frame.eos, pad=frame.pad)
                for part in batches(rows, path.encoder.module.config, memory_limit)
            ]
            calls += len(outputs)
            return joined(outputs)

        if cache is None:
            output, fresh = run(plan.rows), len(plan.rows)
        else:
            output, fresh = cache.encode(path.encoder, plan.rows, run)
        vectors = None
        if output.ends is not None:
            # each side for itself, as the pipelines do: a product's last bits depend on how many rows it has
            sides = pool(plan, output.ends, pooled).split(count)
            vectors = torch.cat([path.encoder.project(side) for side in sides])
        results[slot] = Encoded(states=assemble(plan, output.states), pooled=vectors)
        stats[slot] = EncoderStats(calls=calls, rows=fresh, rows_cached=len(plan.rows) - fresh)
    return results, stats
