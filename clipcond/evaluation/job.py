"""The work of an evaluation: shards of pictures to rows, and rows to one table."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from clipcond.bulk import Engine, Finish, Shard, Work, claimed, complete, cut, find_engine
from clipcond.errors import CheckpointError, ClipcondError
from clipcond.evaluation.drawing import PICTURES, Plan, Studio
from clipcond.evaluation.judges import Judge, placed
from clipcond.evaluation.pictures import Picture, digest
from clipcond.evaluation.prompts import PromptSet
from clipcond.evaluation.rows import ERROR, Row, Seen, judge_rows, look, write_part
from clipcond.evaluation.settings import Setting, require_distinct
from clipcond.files import is_hub_id, write_whole
from clipcond.identity import weights_digest
from clipcond.models import check_folder, locate, pick_device
from clipcond.score.provenance import require_same

VERSION = 1
PARTS = "parts"
TABLE = "scores.jsonl"
ABOUT = "evaluation.json"
_A_SHARD = 32  # pictures


def judge_pictures(
    listed: Callable[[], Iterator[Picture]],
    judges: Mapping[str, Judge],
    out: Path,
    *,
    engine: Engine | None = None,
    device: str | None = None,
    given: Mapping[str, Mapping[str, float]] | None = None,
) -> None:
    """Judge pictures that exist into `out`.

    Args:
        listed: gives them from the start whenever it is called (`find_pictures`).
        judges: by name.
        out: a folder, made if need be; an interrupted run goes on in it.
        engine: who does it; None: this process.
        device: of the judges' CLIPs on a worker; None: cuda where there is one.
        given: verdicts from elsewhere: name -> (last three parts of a picture's path -> number).

    Raises:
        ClipcondError: `out` holds something else, or nothing can be judged.
    """
    count, content = digest(listed)
    about = _about("pictures", judges) | {
        "pictures": content,
        "given": _digest({name: sorted(values.items()) for name, values in (given or {}).items()}),
    }
    worker = partial(_judging, dict(judges), out, device, given or {})
    with claimed(out, about, parts=f"{PARTS}/*.jsonl"):
        (out / PARTS).mkdir(exist_ok=True)
        shards = cut(listed(), _A_SHARD, partial(_part, out))
        work = Work(worker=worker, prepare=_look)
        complete(work, shards, engine or find_engine(), total=count, unit="pictures")
        _gather(out, -(-count // _A_SHARD), {"kind": "pictures"})


def draw_and_judge(
    settings: Sequence[Setting],
    prompts: PromptSet,
    judges: Mapping[str, Judge],
    out: Path,
    *,
    seeds: range,
    batch_size: int,
    device: str | None,
    dtype: torch.dtype,
    engine: Engine | None = None,
) -> None:
    """Draw every prompt by every setting with every seed into `out`, and judge the pictures.

    Args:
        settings: of distinct labels.
        prompts: what is drawn.
        judges: by name.
        out: a folder, made if need be; an interrupted run goes on in it.
        seeds: of every prompt.
        batch_size: pictures a call of the pipeline.
        device: of pipelines and judges on a worker; None: cuda where there is one.
        dtype: of pipelines.
        engine: who does it; None: this process.

    Raises:
        ClipcondError: `out` holds something else, or no model is there.
    """
    require_distinct(settings)
    found, left_out = _models(settings)
    kept = [setting for setting in settings if found.get(setting.label)]
    if not kept:
        raise ClipcondError(left_out[0] if left_out else "got no model; name one")
    texts = [[p.text, p.id, p.category, p.about] for p in prompts.prompts]
    about = _about("run", judges) | {
        "models": {s.label: s.as_dict() | {"files": found[s.label]} for s in kept},
        "prompts": _digest(texts),
        "seeds": [seeds.start, seeds.stop],
        "batch_size": batch_size,
        "dtype": str(dtype).removeprefix("torch."),
    }
    plan = Plan(
        settings=tuple(kept),
        seeds=seeds,
        out=out,
        batch_size=batch_size,
        device=device,
        dtype=dtype,
    )
    total = len(kept) * len(prompts.prompts)
    with claimed(out, about, parts=f"{PARTS}/*.jsonl"):
        for folder in (PARTS, PICTURES):
            (out / folder).mkdir(exist_ok=True)
        shards = list(plan.shards(prompts.prompts, partial(_part, out)))
        work = Work(worker=partial(_studio, plan, dict(judges)))
        complete(work, shards, engine or find_engine(), total=total, unit="prompts")
        told = {"kind": "run", "models": about["models"], "seeds": list(seeds)}
        _gather(out, len(shards), told | {"left_out": [*left_out, *prompts.left_out]})


def _about(kind: str, judges: Mapping[str, Judge]) -> dict[str, Any]:
    """What rows depend on, as the folder has it written down."""
    return {
        "version": VERSION,
        "kind": kind,
        "scorers": {name: judge.provenance for name, judge in judges.items()},
    }


def _digest(value: Any) -> str:
    """Of what JSON can say."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _models(settings: Sequence[Setting]) -> tuple[dict[str, str], list[str]]:
    """(label -> digest of the model's files, what is wrong with the other models)."""
    found: dict[str, str] = {}
    left_out: list[str] = []
    known: dict[str, str] = {}
    for setting in settings:
        model = setting.model
        try:
            key = str(model)
            known[key] = known.get(key) or _identity(model)
            found[setting.label] = known[key]
        except ClipcondError as error:
            left_out.append(f"{setting.label}: left out: {error}")
    return found, left_out


def _identity(model: Any) -> str:
    """A digest of all that a model's folder holds; of a pipeline, of its weights; of a hub id, itself."""
    if not isinstance(model, str | Path):
        parts = {k: v for k, v in model.components.items() if isinstance(v, torch.nn.Module)}
        return weights_digest(
            {f"{k}.{name}": t for k, v in parts.items() for name, t in v.state_dict().items()}
        )
    folder = locate(model)
    if not isinstance(folder, Path):
        if not is_hub_id(folder):
            raise CheckpointError(
                f"{folder}: no such model; name 'emoji', a diffusers folder or a hub id"
            )
        return folder
    check_folder(folder)
    content = hashlib.sha256()
    for file in sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith(".")):
        content.update(f"{file.relative_to(folder)} {file.stat().st_size}\n".encode())
        with file.open("rb") as opened:
            content.update(hashlib.file_digest(opened, "sha256").digest())
    return content.hexdigest()


def _part(out: Path, number: int) -> Path:
    return out / PARTS / f"{number:06d}.jsonl"


def _look(shard: Shard) -> list[Seen]:
    return [look(picture) for picture in shard.items]


def _judging(
    judges: dict[str, Judge],
    out: Path,
    device: str | None,
    given: Mapping[str, Mapping[str, float]],
) -> Finish:
    """What judges a shard of pictures."""
    ready = placed(judges, pick_device(device))

    def finish(shard: Shard, seen: list[Seen]) -> None:
        rows, made = judge_rows(ready, seen, out)
        for each, row in zip(seen, rows, strict=True):
            _give(row, "/".join(each.picture.file.parts[-3:]), given)
        write_part(shard.file, rows, made | {name: {"scorer": name} for name in given})

    return finish


def _give(row: Row, key: str, given: Mapping[str, Mapping[str, float]]) -> None:
    """Add what others found."""
    error = row.pop(ERROR)
    for name, values in given.items():
        row[name] = values.get(key)
        if row[name] is None:
            error = "; ".join(filter(None, [error, f"{name}: has no result for {key}"]))
    row[ERROR] = error


def _studio(plan: Plan, judges: dict[str, Judge]) -> Finish:
    return Studio(plan, dict(placed(judges, pick_device(plan.device)))).finish


def _gather(out: Path, count: int, told: Mapping[str, Any]) -> None:
    """All parts as one table, and what is to be known of it."""
    made: dict[str, Any] = {}
    circular: dict[str, list[str]] = {}
    numbers = {"pictures": 0, "failed": 0}

    def write(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="\n") as table:
            for number in range(count):
                with _part(out, number).open(encoding="utf-8") as part:
                    head = json.loads(next(part))
                    _join_made(made, head["made"])
                    circular.update(head.get("circular", {}))
                    for line in part:
                        table.write(line)
                        numbers["pictures"] += 1
                        numbers["failed"] += bool(json.loads(line)[ERROR])

    write_whole(out / TABLE, write)
    content = {**told, "scorers": made, "circular": circular, **numbers}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_whole(out / ABOUT, lambda path: path.write_text(text, encoding="utf-8"))


def _join_made(made: dict[str, Any], more: Mapping[str, Any]) -> None:
    """How a judge's numbers were made is the same in every part."""
    for name, provenance in more.items():
        require_same([made.setdefault(name, provenance), provenance], action="joined")
