"""Plots of the report: SVG whose ink takes the page's colours, light or dark."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import numpy as np

from clipcond.evaluation.comparing import Standing

_INK, _FAINT = "#010203", "#040506"  # stand for the page's own
SERIES = ("#3b7dd8", "#e8822a", "#2f9e6e", "#d1495b", "#8a63c8", "#b08a1e", "#2aa1b3", "#c06aa5")
_WIDTH = 5.0  # inches; the page scales it
_LEVELS = 3  # of a setting, from which a curve says more than rows
_NAME = 34  # characters of a model on an axis
_FIELDS = ("steps", "guidance_scale", "clip_skip", "height", "width")


@contextmanager
def _axes(height: float) -> Iterator[tuple[Any, Any, StringIO]]:
    """A figure, its axes, and where its SVG is written when the block ends."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",  # text stays text, in the page's font
        "svg.hashsalt": "clipcond",  # the same page each time
        "text.parse_math": False,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": _FAINT,
        "grid.linewidth": 0.6,
        "axes.axisbelow": True,
        **{f"{name}.color": _INK for name in ("text", "xtick", "ytick")},
        **{f"axes.{name}color": _INK for name in ("edge", "label")},
    }
    with mpl.rc_context(style):
        figure = Figure((_WIDTH, height), layout="constrained")
        svg = StringIO()
        yield figure, figure.subplots(), svg
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None})


def _inlined(svg: StringIO, label: str) -> str:
    """For the page: no prologue, its colours, and a name for who cannot see it."""
    text = svg.getvalue()
    text = text[text.index("<svg") :]
    text = text.replace(_INK, "currentColor").replace(_FAINT, "var(--line)")
    escaped = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{escaped}"', 1)


def _short(name: str) -> str:
    return name if len(name) <= _NAME else name[: _NAME - 1] + "…"


def colors(names: Sequence[str]) -> dict[str, str]:
    """A colour for each name, the same in every plot."""
    return {name: SERIES[i % len(SERIES)] for i, name in enumerate(names)}


def means(standings: Sequence[Standing], unit: str, ink: Mapping[str, str]) -> str:
    """A dot and its interval for each model, in its colour."""
    with _axes(0.7 + 0.3 * len(standings)) as (_, axes, svg):
        for row, each in enumerate(standings):
            color = ink[each.model]
            axes.plot([each.low, each.high], [row, row], color=color, linewidth=2.4)
            axes.plot([each.mean], [row], "o", color=color, markersize=7)
        axes.set_yticks(range(len(standings)), [_short(each.model) for each in standings])
        axes.set_ylim(len(standings) - 0.5, -0.5)
        axes.set_xlabel(f"{unit}: mean and 95 %")
        axes.grid(visible=False, axis="y")
    return _inlined(svg, f"Mean {unit} of each model")


def distributions(values: Mapping[str, np.ndarray], unit: str, ink: Mapping[str, str]) -> str:
    """How each model's scores are spread; "" where there is nothing to draw."""
    shown = {name: own for name, own in values.items() if len(np.unique(own)) > 2}
    if not shown:
        return ""
    with _axes(0.7 + 0.42 * len(shown)) as (_, axes, svg):
        places = list(range(len(shown)))
        parts = axes.violinplot(
            list(shown.values()), places, orientation="horizontal", widths=0.85, showmedians=True
        )
        for name, body in zip(shown, parts["bodies"], strict=True):
            body.set(facecolor=ink[name], alpha=0.55)
        for name in ("cmins", "cmaxes", "cbars", "cmedians"):
            parts[name].set(color=_INK, linewidth=1 if name == "cmedians" else 0.6)
        axes.set_yticks(places, [_short(name) for name in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel(unit)
        axes.grid(visible=False, axis="y")
    return _inlined(svg, f"Distribution of {unit}")


def against(first: tuple[str, np.ndarray], second: tuple[str, np.ndarray], unit: str) -> str:
    """Two models, a dot a prompt; above the line the second does better."""
    (name, a), (other, b) = first, second
    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    if low == high:
        return ""
    with _axes(4.0) as (_, axes, svg):
        axes.plot([low, high], [low, high], color=_INK, linewidth=0.8)
        axes.scatter(a, b, s=14, color=SERIES[0], alpha=0.55, linewidths=0)
        axes.set_xlabel(f"{_short(name)}: {unit}")
        axes.set_ylabel(f"{_short(other)}: {unit}")
    return _inlined(svg, f"{name} against {other}")


def curves(
    standings: Sequence[Standing], settings: Mapping[str, Mapping[str, Any]], unit: str
) -> str:
    """The mean over one setting, a line for each value of another; "" where models differ otherwise."""
    own = [settings.get(each.model, {}) for each in standings]
    varied = [
        name
        for name in (own[0] if own else ())
        if name not in ("name", "files") and len({str(each.get(name)) for each in own}) > 1
    ]
    if not 1 <= len(varied) <= 2 or any(name not in _FIELDS for name in varied):
        return ""
    if any(each.get(name) is None for each in own for name in varied):
        return ""
    varied.sort(key=lambda name: -len({each[name] for each in own}))
    along, by = varied[0], varied[-1]
    if len({each[along] for each in own}) < _LEVELS:
        return ""
    with _axes(3.4) as (_, axes, svg):
        groups = sorted({each[by] for each in own}) if by != along else [None]
        for i, value in enumerate(groups):
            line = sorted(
                (said[along], each.mean, each.low, each.high)
                for said, each in zip(own, standings, strict=True)
                if value is None or said[by] == value
            )
            x, mean, low, high = (np.array(column) for column in zip(*line, strict=True))
            color = SERIES[i % len(SERIES)]
            label = None if value is None else f"{value:g} {by.replace('_', ' ')}"
            axes.plot(x, mean, "o-", color=color, label=label, linewidth=2, markersize=5)
            axes.fill_between(x, low, high, color=color, alpha=0.13, linewidth=0)
        axes.set_xlabel(along.replace("_", " "))
        axes.set_ylabel(f"mean {unit}")
        if by != along:
            axes.legend(frameon=False)
    return _inlined(svg, f"Mean {unit} over {along}")
