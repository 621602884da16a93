"""The report: one HTML file that needs nothing else, made by Jinja from what the evaluations hold."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipcond.errors import ClipcondError
from clipcond.evaluation import plots
from clipcond.evaluation.comparing import (
    ALL,
    ALPHA,
    Contestant,
    Contrast,
    Standing,
    contrasts,
    standings,
)
from clipcond.evaluation.record import Record, contestants, judges
from clipcond.evaluation.sheet import sheets
from clipcond.gallery.page import write_page
from clipcond.score.clauses import ClauseTable

_NEEDED = ("jinja2", "matplotlib")
_MANY = 12  # models, from which every two would be a table that nobody reads
_FAILURES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What one scorer says: of a category, or of all.

    Attributes:
        scorer: its name.
        category: or "all".
        standings: of every model, the best first.
        contrasts: of the models.
        plots: SVG by title.
        percent: whether its scores are verdicts, 0 or 1.
    """

    scorer: str
    category: str
    standings: Sequence[Standing]
    contrasts: Sequence[Contrast]
    plots: Mapping[str, str]
    percent: bool


def write_report(
    evaluations: Sequence[Record],
    path: Path,
    *,
    baseline: str | None = None,
    compared: Sequence[Contrast] | None = None,
    clauses: Sequence[ClauseTable] = (),
) -> Path:
    """Write the page.

    Args:
        evaluations: one or more, judged by the same.
        path: .html.
        baseline: a model that the others are compared with; None: the best, where there are many, or else every two.
        compared: `record.compare` of the same; None: it is done here.
        clauses: what of its prompt each of some pictures lacks.

    Raises:
        ClipcondError: Jinja or matplotlib is missing, the file cannot be written, or evaluations that cannot be compared.
    """
    require_extra()
    values = _values(evaluations, baseline=baseline, compared=compared, clauses=clauses)
    write_page(path, "clipcond.evaluation", "report.html.j2", **values)
    return path


def require_extra() -> None:
    """Refuse before any work what would fail at its end.

    Raises:
        ClipcondError: a library that a report needs is not installed.
    """
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            raise ClipcondError(f"a report needs {name}: pip install 'clipcond[evaluate]'")


def _values(
    evaluations: Sequence[Record],
    *,
    baseline: str | None,
    compared: Sequence[Contrast] | None,
    clauses: Sequence[ClauseTable],
) -> dict[str, Any]:
    """What the page shows, by the template's names."""
    models = contestants(evaluations)
    alone = evaluations[0].standings if len(evaluations) == 1 else None
    found = alone or standings(models, judges(evaluations))
    who = list(dict.fromkeys(each.scorer for each in found))  # those that could judge any
    if baseline is None and len(models) > _MANY:
        baseline = _ranked(found, who[0], ALL)[0].model
    shown = _shown(models, who, baseline, compared)
    names = list(dict.fromkeys(each.category for each in found))
    panels = [
        _panel(evaluations, models, scorer, category, found=found, compared=shown)
        for category in names
        for scorer in who
    ]
    couple = _couple(models, shown)
    about = [each.about for each in evaluations]
    failures = [line for each in evaluations for line in each.failures]
    return {
        "title": " and ".join(each.folder.absolute().name for each in evaluations),
        "pictures": sum(each["pictures"] for each in about),
        "prompts": max((each.prompts for each in found), default=0),
        "models": [each.name for each in models],
        "scorers": who,
        "categories": [name for name in names if name != ALL],
        "panels": panels,
        "headlines": _headlines(found, shown, who, baseline),
        "baseline": baseline,
        "heat": _heat(found, who, names),
        "sheets": sheets(evaluations, models, who, couple),
        "clauses": clauses,
        "circular": sorted(
            {who for each in about for own in each["circular"].values() for who in own}
        ),
        "failures": failures[:_FAILURES],
        "more_failures": max(0, len(failures) - _FAILURES),
        "provenance": json.dumps(about, indent=1, ensure_ascii=False),
    }


def _shown(
    models: Sequence[Contestant],
    who: Sequence[str],
    baseline: str | None,
    compared: Sequence[Contrast] | None,
) -> Sequence[Contrast]:
    """The comparisons that the page has: with the baseline, where there is one."""
    if len(models) < 2:
        return []
    if compared is None:
        return contrasts(models, who, baseline=baseline)
    return [each for each in compared if baseline in (None, each.first, each.second)]


def _ranked(found: Sequence[Standing], scorer: str, category: str) -> list[Standing]:
    own = [each for each in found if (each.scorer, each.category) == (scorer, category)]
    return sorted(own, key=lambda each: -each.mean)


def _panel(
    evaluations: Sequence[Record],
    models: Sequence[Contestant],
    scorer: str,
    category: str,
    *,
    found: Sequence[Standing],
    compared: Sequence[Contrast],
) -> Panel:
    own = _ranked(found, scorer, category)
    which = None if category == ALL else category
    by_name = {m.name: m for m in models}
    ranked = [by_name[each.model] for each in own]
    values = {m.name: m.numbers.scores[scorer][m.of(which, scorer)] for m in ranked}
    ink = plots.colors([m.name for m in models])
    percent = all(np.isin(each, (0, 1)).all() for each in values.values())
    unit = f"{scorer} (share of pictures)" if percent else scorer
    settings = {m: said for each in evaluations for m, said in each.about.get("models", {}).items()}
    drawn = {"Over the settings": plots.curves(own, settings, unit)} if category == ALL else {}
    drawn["Means"] = plots.means(own, unit, ink)
    if category == ALL:
        if len(models) <= _MANY:
            drawn["Distribution"] = plots.distributions(values, unit, ink)
        couple = _couple(models, compared)
        if couple and not percent:
            drawn["Prompt by prompt"] = plots.against(*_by_prompt(couple, scorer), unit)
    return Panel(
        scorer=scorer,
        category=category,
        standings=own,
        contrasts=[c for c in compared if (c.scorer, c.category) == (scorer, category)],
        plots={title: svg for title, svg in drawn.items() if svg},
        percent=percent,
    )


def _by_prompt(
    couple: tuple[Contestant, Contestant], scorer: str
) -> tuple[tuple[str, np.ndarray], tuple[str, np.ndarray]]:
    """Each prompt's mean by both."""
    found: list[dict[int, float]] = []
    for each in couple:
        places = each.of(None, scorer)
        keys, inverse = np.unique(each.numbers.prompts[places], return_inverse=True)
        sums = np.bincount(inverse, weights=each.numbers.scores[scorer][places])
        found.append(dict(zip(keys.tolist(), (sums / np.bincount(inverse)).tolist(), strict=True)))
    common = [key for key in found[0] if key in found[1]]
    first, second = (np.array([own[key] for key in common]) for own in found)
    return (couple[0].name, first), (couple[1].name, second)


def _couple(
    models: Sequence[Contestant], compared: Sequence[Contrast]
) -> tuple[Contestant, Contestant] | None:
    """The two that are set side by side: those that differ most to the first scorer."""
    own = [c for c in compared if c.category == ALL and c.scorer == compared[0].scorer]
    if not own:
        return None
    widest = max(own, key=lambda each: abs(each.difference))
    by_name = {each.name: each for each in models}
    return by_name[widest.first], by_name[widest.second]


def _headlines(
    found: Sequence[Standing],
    compared: Sequence[Contrast],
    who: Sequence[str],
    baseline: str | None,
) -> list[tuple[str, str]]:
    """(scorer, what it says in a sentence)."""
    said = []
    for scorer in who:
        ranked = _ranked(found, scorer, ALL)
        own = [c for c in compared if (c.scorer, c.category) == (scorer, ALL)]
        if not ranked:
            continue
        best = ranked[0]
        sentence = f"mean {best.mean:.4f}, 95 % from {best.low:.4f} to {best.high:.4f}"
        if len(own) == 1:
            sentence = f"“{own[0].first}” against “{own[0].second}”: {own[0].verdict}"
        elif own:
            seen = sum(each.p_holm < ALPHA for each in own)
            against = f" from “{baseline}”" if baseline else ""
            sentence = f"“{best.model}” has the highest mean; {seen} of {len(own)} differences{against} are more than chance"
        said.append((scorer, sentence))
    return said


def _heat(
    found: Sequence[Standing], who: Sequence[str], names: Sequence[str]
) -> list[dict[str, Any]]:
    """For each scorer a table of models by categories, with shades from its lowest to its highest."""
    tables = []
    for scorer in who if len(names) > 1 else ():
        own = [each for each in found if each.scorer == scorer]
        means = {(each.model, each.category): each.mean for each in own}
        low, high = min(means.values()), max(means.values())
        rows = [
            (
                model,
                [
                    (mean, 0.0 if mean is None or high == low else (mean - low) / (high - low))
                    for mean in (means.get((model, name)) for name in names)
                ],
            )
            for model in dict.fromkeys(each.model for each in own)
        ]
        tables.append({"scorer": scorer, "rows": rows, "names": names})
    return tables
