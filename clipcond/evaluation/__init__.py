"""Evaluations: prompts drawn by models, or pictures that exist, judged by several scorers at once and compared.

    clipcond.evaluate("pictures/", scorers=["emoji", "judge"], out="out/evaluation").summary()

It goes through `prompts` or `pictures` (what there is), `settings` (what draws), `judges` (who judges), `drawing` and `rows`
(what is done with a shard), `job` (all shards, and the table), to `value` (what is read of it), `comparing` and `report`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from clipcond.bulk import Engine
from clipcond.errors import ClipcondError
from clipcond.evaluation.job import draw_and_judge, judge_pictures
from clipcond.evaluation.judges import Judge, Oracle, find_judges
from clipcond.evaluation.pictures import find_pictures
from clipcond.evaluation.prompts import Columns, Prompt, PromptSet, read_prompts
from clipcond.evaluation.settings import Setting
from clipcond.evaluation.value import Evaluation
from clipcond.models import pick_device

__all__ = [
    "Columns",
    "Evaluation",
    "Oracle",
    "Prompt",
    "PromptSet",
    "Setting",
    "evaluate",
    "find_judges",
    "read_prompts",
]


def evaluate(
    source: str | Path | Setting | Sequence[Setting],
    prompts: str | Path | Sequence[str | Path] | PromptSet | None = None,
    *,
    scorers: Mapping[str, Judge] | Sequence[str] = ("emoji",),
    out: str | Path,
    seeds: int = 4,
    first_seed: int = 0,
    name: str | None = None,
    columns: Columns | None = None,
    batch_size: int = 8,
    device: str | None = None,
    dtype: torch.dtype = torch.float32,
    engine: Engine | None = None,
) -> Evaluation:
    """Judge pictures that exist, or draw pictures and judge them. Called again with the same, it goes on where it was.

    Args:
        source: a folder or table of pictures (`find_pictures`); or settings, by each of which every prompt is drawn.
        prompts: a prompt set (`read_prompts`), of pictures those whose ids are their names.
        scorers: by name, or as `find_judges` reads them: "emoji", "judge", "oracle", "CLIP@pickscore", ...
        out: folder of the evaluation.
        seeds: pictures a prompt, of what is drawn.
        first_seed: of these.
        name: what drew the pictures that exist; None: their folder's name.
        columns: of a table.
        batch_size: pictures a call of a pipeline.
        device: of a worker; None: cuda where there is one.
        dtype: of pipelines.
        engine: who does the work (`clipcond.bulk.find_engine`); None: this process.

    Raises:
        ClipcondError: what is asked for makes no sense, or `out` holds something else.
    """
    folder = Path(out)
    judges = scorers if isinstance(scorers, Mapping) else find_judges(scorers)
    if not judges:
        raise ClipcondError("scorers: got none; name one")
    if engine is None:
        pick_device(device)  # refused before any work
    known = prompts if isinstance(prompts, PromptSet | None) else read_prompts(prompts, columns)
    if isinstance(source, str | Path):
        listed = find_pictures(Path(source), prompts=known, columns=columns, model=name)
        judge_pictures(listed, judges, folder, engine=engine, device=device)
        return Evaluation.load(folder)
    if known is None:
        raise ClipcondError("prompts: got none; name what is to be drawn")
    if seeds < 1 or first_seed < 0:
        raise ClipcondError(f"seeds: got {seeds} from {first_seed}; needs at least 1 from 0")
    draw_and_judge(
        [source] if isinstance(source, Setting) else source,
        known,
        judges,
        folder,
        seeds=range(first_seed, first_seed + seeds),
        batch_size=batch_size,
        device=device,
        dtype=dtype,
        engine=engine,
    )
    return Evaluation.load(folder)
