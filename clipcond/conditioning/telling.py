"""What scripts say, in words: of which prompt each row is, and when, where or how much it is said."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from clipcond.conditioning.report import PromptReport
from clipcond.hooks.clock import Moment
from clipcond.hooks.program import Keyframes, Script, Steps, Track
from clipcond.hooks.region import Region
from clipcond.prompt.tree import Segment, shortened, stretches

_MOST = 5  # stretches of steps that are told


def told(
    reports: Iterable[PromptReport], scripts: Sequence[Script], encoder: int, steps: int | None
) -> tuple[PromptReport, ...]:
    """The reports of a side's rows, each with what is said by it, where a prompt says several things.

    Args:
        reports: of one encoder.
        scripts: of the side.
        encoder: whose words are told: 0 for what the first text encoder reads, 1 for `prompt_2`, ...
        steps: of the run; None where that is not known, and steps are not told.
    """
    if all(script.is_plain for script in scripts):
        return tuple(reports)
    rows: dict[int, tuple[int, str]] = {}
    for number, script in enumerate(scripts):
        for where, track in _parts(script):
            for row, when in _told(track, encoder, steps).items():
                rows.setdefault(row, (number, ", ".join(filter(None, (where, when)))))
    return tuple(
        replace(report, prompt=rows[row][0], said=rows[row][1])
        for row, report in enumerate(reports)
    )


def where_is(region: Region) -> str:
    """A region without its prompt."""
    weight = "" if region.weight == 1 else f" :{region.weight:.4g}"
    if region.box is not None:
        return f"region ({', '.join(f'{edge:.4g}' for edge in region.box)}){weight}"
    height, width = region.mask.shape  # type: ignore[union-attr] # there is a box or a mask
    return f"region of a {width} x {height} mask{weight}"


def counted(scripts: Sequence[Script], regions: str) -> str:
    """How much scripts say: "2 prompts of 5 states, 2 composed, 1 region by attention".

    Args:
        scripts: of the positive side.
        regions: how places are told their texts.
    """
    states = {row for script in scripts for _, track in _parts(script) for row in track.rows}
    composed = sum(len(script.parts) for script in scripts if script.is_composed)
    places = sum(len(script.places) for script in scripts)
    found = [_number(len(scripts), "prompt") + f" of {_number(len(states), 'state')}"]
    if composed:
        found.append(f"{composed} composed")
    if places:
        found.append(f"{_number(places, 'region')} by {regions}")
    return ", ".join(found)


def _parts(script: Script) -> Iterator[tuple[str, Track]]:
    for part in script.parts:
        yield f"{part.operator} :{part.weight:.4g}" if script.is_composed else "", part.track
    for place in script.places:
        yield where_is(place.region), place.track


def _told(track: Track, encoder: int, steps: int | None) -> dict[int, str]:
    """What is said of each of a track's rows."""
    match track:
        case Keyframes(shares, keys):
            starts: dict[int, list[str]] = {}
            for share, row in zip(shares, keys, strict=True):
                starts.setdefault(row, []).append(f"{share:.4g}")
            return {row: f"from {', '.join(found)} of the run" for row, found in starts.items()}
        case Steps(_, places):
            when = {} if steps is None else _when(track, steps)
            return {
                row: ": ".join(filter(None, (when.get(row), _words(what[encoder]))))
                for what, row in places.items()
            }
    return dict.fromkeys(track.rows, "")


def _when(track: Track, steps: int) -> dict[int, str]:
    """The steps of a run at which a track says each of its rows, counted from 1."""
    at = [track.at(Moment(step, steps, step / steps)).row for step in range(steps)]
    found: dict[int, list[str]] = {}
    for stretch, row in stretches(enumerate(at, start=1)):
        found.setdefault(row, []).append(stretch)
    return {row: _steps(where) for row, where in found.items()}


def _steps(where: Sequence[str]) -> str:
    """Stretches of steps, not more than one wants to read."""
    more = f" and {len(where) - _MOST} times more" if len(where) > _MOST else ""
    noun = "step" if len(where) == 1 and "-" not in where[0] else "steps"
    return f"{noun} {', '.join(where[:_MOST])}{more}"


def _words(what: Sequence[tuple[str, float]]) -> str:
    """Texts with their weights, in one line."""
    shown = "".join(_word(Segment(*each)) for each in what)
    return shortened(" ".join(shown.split())) or "nothing"


def _word(segment: Segment) -> str:
    if segment.is_break:
        return " BREAK "
    return segment.text if segment.weight == 1 else f"({segment.text}:{segment.weight:.4g})"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
