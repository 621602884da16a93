"""The work of `clipcond evaluate`: run and pictures make an evaluation, compare and retrieval read what there is."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import singledispatch
from pathlib import Path
from typing import Any

import torch

from clipcond.bulk import Engine, find_engine
from clipcond.cli.arguments import EngineRequest
from clipcond.cli.evaluate import (
    ColumnsRequest,
    Compare,
    JudgeRequest,
    Pictures,
    Retrieval,
    Run,
    SettingsRequest,
)
from clipcond.cli.terminal import hush_loading, note, write_heading, write_json, write_table
from clipcond.errors import ClipcondError
from clipcond.evaluation import Columns, Evaluation, PromptSet, Setting, find_judges, read_prompts
from clipcond.evaluation.comparing import Contrast, Standing
from clipcond.evaluation.geneval import read_results, write_results
from clipcond.evaluation.job import draw_and_judge, judge_pictures
from clipcond.evaluation.judges import Judge, clip_of
from clipcond.evaluation.lacking import lowest_clauses
from clipcond.evaluation.pictures import find_pictures
from clipcond.evaluation.record import as_json, compare
from clipcond.evaluation.report import require_extra, write_report
from clipcond.evaluation.retrieval import Recalls, recall_of_table
from clipcond.evaluation.settings import Spec, combinations, read_spec
from clipcond.models import pick_device
from clipcond.score import ClipScorer
from clipcond.tables import check_table, write_rows

_FAILURES = 20  # that are said one by one
_REPORT = "report.html"


@singledispatch
def run(request: object) -> int:
    """Do what was asked."""
    raise TypeError(type(request))


@run.register
def _(request: Run) -> int:
    require_extra()
    spec = _told_spec(request) if request.spec else _spec(request.settings)
    columns = _columns(request.columns)
    prompts = read_prompts(request.prompts or spec.prompts or ["emoji"], columns)
    seeds = request.seeds or spec.seeds or 4
    first = (spec.first_seed or 0) if request.first_seed is None else request.first_seed
    judges = _judges(request.judges, spec.scorers)
    device = _device(request)
    dtype = request.dtype or ("float32" if device.type == "cpu" else "float16")
    hush_loading("diffusers")
    draw_and_judge(
        spec.settings,
        prompts,
        judges,
        request.out,
        seeds=range(first, first + seeds),
        batch_size=request.batch_size,
        device=request.device,
        dtype=getattr(torch, dtype),
        engine=_engine(request.bulk),
    )
    return _finish(request, judges)


@run.register
def _(request: Pictures) -> int:
    require_extra()
    columns = _columns(request.columns)
    prompts: PromptSet | None = read_prompts(request.prompts, columns) if request.prompts else None
    listed = find_pictures(request.source, prompts=prompts, columns=columns, model=request.name)
    given = {"geneval": read_results(request.geneval)} if request.geneval else {}
    _device(request)
    judges = _judges(request.judges, None)
    judge_pictures(
        listed,
        judges,
        request.out,
        engine=_engine(request.bulk),
        device=request.device,
        given=given,
    )
    return _finish(request, judges)


@run.register
def _(request: Compare) -> int:
    require_extra()
    if request.table:
        check_table(request.table)
    evaluations = [Evaluation.load(folder) for folder in request.evaluations]
    found = compare(evaluations, baseline=request.baseline)
    if request.table:
        write_rows(as_json(found), request.table)
    if request.report:
        write_report(evaluations, request.report, baseline=request.baseline, compared=found)
    if request.json:
        write_json({"comparisons": as_json(found)})
    else:
        _show_contrasts(found)
    return 0


@run.register
def _(request: Retrieval) -> int:
    hush_loading("transformers")
    scorer = ClipScorer.from_pretrained(
        request.scorer, device=pick_device(request.device), batch_size=request.batch_size
    )
    found = recall_of_table(
        scorer, request.table, file_column=request.file_column, prompt_column=request.prompt_column
    )
    for failure in found.failures[:_FAILURES]:
        note(failure)
    if request.json:
        write_json(found.as_dict())
    else:
        _show_recalls(found)
    return 1 if found.failures else 0


def _told_spec(request: Run) -> Spec:
    """What the TOML file says, which nothing typed may say too."""
    spec = read_spec(request.spec or Path())
    typed, plain = request.settings, SettingsRequest()
    for name in (each.name for each in fields(plain)):
        if getattr(typed, name) != getattr(plain, name):
            raise ClipcondError(
                f"--{name.replace('_', '-')}: {request.spec} says what draws; write it there, or leave the file out"
            )
    return spec


def _spec(typed: SettingsRequest) -> Spec:
    """What was typed instead of a TOML file."""
    values: dict[str, Any] = {
        "model": typed.model or ["emoji"],
        "steps": list(typed.steps or ()),
        "guidance_scale": list(typed.guidance_scale or ()),
        "scheduler": typed.scheduler or [],
        "template": typed.template or [],
    }
    single = ("negative", "height", "width", "dialect", "weighting", "long_prompt")
    values |= {name: getattr(typed, name) for name in single}
    given = {name: value for name, value in values.items() if value not in ([], None)}
    settings: list[Setting] = combinations(given, "options")
    return Spec(settings=tuple(settings), prompts=None, seeds=None, first_seed=None, scorers=None)


def _judges(typed: JudgeRequest, spec: Sequence[str] | None) -> dict[str, Judge]:
    hush_loading("transformers")
    return find_judges(
        typed.scorer or spec or ["emoji"],
        dtype=getattr(torch, typed.scorer_dtype),
        batch_size=typed.scorer_batch_size,
        crop=typed.crop,
    )


def _columns(typed: ColumnsRequest) -> Columns:
    return Columns(prompt=typed.prompt_column, category=typed.category_column, id=typed.id_column)


def _device(request: Run | Pictures) -> torch.device:
    """Where it runs here; a cluster's workers have devices of their own."""
    return pick_device(request.device if request.bulk.engine == "local" else None)


def _engine(bulk: EngineRequest) -> Engine:
    return find_engine(bulk.engine, workers=bulk.workers, address=bulk.address)


def _finish(request: Run | Pictures, judges: Mapping[str, Judge]) -> int:
    """Say how the models do, write what was asked for, and what went wrong."""
    evaluation = Evaluation.load(request.out)
    if request.table:
        evaluation.write(request.table)
    if request.write_geneval:
        write_results(evaluation, request.write_geneval)
    failures, standings = evaluation.failures, evaluation.standings
    for failure in failures[:_FAILURES]:
        note(failure)
    if len(failures) > _FAILURES:
        note(f"and {len(failures) - _FAILURES:,} more; {request.out / 'scores.jsonl'} has all")
    if not standings:
        raise ClipcondError(
            f"none of the {evaluation.about['pictures']:,} pictures could be judged"
        )
    clips = {name: clip for name, judge in judges.items() if (clip := clip_of(judge))}
    first = next(iter(clips), None)
    clauses = lowest_clauses(evaluation, first, clips[first]) if first else ()
    report = write_report([evaluation], request.out / _REPORT, clauses=clauses)
    if request.json:
        write_json(_told(evaluation, standings, report))
    else:
        _show_standings(standings)
        circular = {who for own in evaluation.about["circular"].values() for who in own}
        if circular:
            note(
                f"{', '.join(sorted(circular))} also conditioned the pictures (circular), which flatters its scores"
            )
        note(
            f"{evaluation.about['pictures']:,} pictures: {report} shows them, clipcond evaluate compare tests them"
        )
    return 1 if failures else 0


def _told(evaluation: Evaluation, standings: Sequence[Standing], report: Path) -> dict[str, Any]:
    return {
        "out": str(evaluation.folder),
        "report": str(report),
        "pictures": evaluation.about["pictures"],
        "failures": list(evaluation.failures),
        "summary": as_json(standings),
        "scorers": evaluation.about["scorers"],
        "circular": evaluation.about["circular"],
    }


def _show_standings(standings: Sequence[Standing]) -> None:
    """A table a scorer: models in rows; then categories, where there are several."""
    for scorer in dict.fromkeys(each.scorer for each in standings):
        own = [each for each in standings if each.scorer == scorer]
        write_heading(scorer)
        several = len({each.category for each in own}) > 1
        rows = [
            [
                f"{each.mean:.4f}",
                f"{each.low:.4f} to {each.high:.4f}",
                each.model,
                *([each.category] if several else []),
                f"{each.pictures} of {each.prompts} prompts",
            ]
            for each in own
        ]
        write_table(["mean", "95 %", "model", *(["category"] if several else []), "pictures"], rows)


def _show_contrasts(found: Sequence[Contrast]) -> None:
    for scorer in dict.fromkeys(each.scorer for each in found):
        write_heading(scorer)
        own = [each for each in found if each.scorer == scorer]
        several = len({each.category for each in own}) > 1
        rows = [
            [
                f"{each.difference:+.4f}",
                f"{each.low:+.4f} to {each.high:+.4f}",
                f"{each.p_holm:.4f}",
                f"{100 * each.wins:.0f} / {100 * each.ties:.0f} / {100 * each.losses:.0f} %",
                f"{each.first} - {each.second}",
                *([each.category] if several else []),
                each.verdict,
            ]
            for each in own
        ]
        columns = ["difference", "95 %", "p", "wins / ties / losses", "of", *(["category"] if several else []), "verdict"]  # fmt: skip
        write_table(columns, rows)


def _show_recalls(found: Recalls) -> None:
    rows = [
        [f"{100 * share:.1f} %", f"{name} R@{k}"]
        for name, shares in (
            ("text to image", found.text_to_image),
            ("image to text", found.image_to_text),
        )
        for k, share in shares.items()
    ]
    write_table(["recall", "of"], rows)
    note(f"{found.pictures:,} pictures and {found.captions:,} captions; a tie counts against")
