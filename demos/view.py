"""What the page shows, as HTML: pure functions of the library's own values. Every text is escaped."""

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from typing import NamedTuple

from PIL import Image

from clipcond import emoji
from clipcond.conditioning.report import PromptReport
from clipcond.errors import point_at
from clipcond.prompt import Diagnostic, Prompt

from .studio import Drawn

_SMALL = 64  # up to this side a picture goes out as it is, and is enlarged by the browser
_SHOWN = 512  # larger ones are shrunk to this side
_STATES = 8  # of what a prompt says over the steps, as many are shown


class Mark(NamedTuple):
    """A verdict in a few words."""

    passed: bool
    words: str


def picture(image: Image.Image, alt: str = "") -> str:
    """An img that carries its own pixels; small pictures are drawn smoothly at any size."""
    buffer = io.BytesIO()
    if max(image.size) <= _SMALL:
        image.save(buffer, "PNG")
        kind = "png"
    else:
        shown = image.convert("RGB")
        shown.thumbnail((_SHOWN, _SHOWN))
        shown.save(buffer, "JPEG", quality=88)
        kind = "jpeg"
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img src="data:image/{kind};base64,{data}" alt="{escape(alt)}" draggable="false">'


def tokens(reports: Sequence[PromptReport], *, what: str = "prompt") -> str:
    """A prompt as the text encoder sees it: everything that it says, one after the other."""
    told: set[Diagnostic] = set()
    shown = ""
    for report in reports[:_STATES]:
        shown += f"<p><small>{escape(report.said)}</small></p>" if report.said else ""
        shown += replace(report, notes=tuple(n for n in report.notes if n not in told)).to_html()
        told.update(report.notes)
    more = f"<p>and {len(reports) - _STATES} more</p>" if len(reports) > _STATES else ""
    return f'<div class="tokens" aria-label="tokens of the {what}">{shown}{more}</div>'


def trouble(message: str) -> str:
    """An error in place of a token view: first line in words, the rest as it stands."""
    head, _, rest = message.partition("\n")
    body = f"<pre>{escape(rest)}</pre>" if rest else ""
    return f'<div class="tokens"><div class="note bad"><p>{escape(head)}</p>{body}</div></div>'


def notes(prompt: Prompt) -> str:
    """What looks like a mistake in a prompt, and where."""
    return "".join(
        f'<div class="note"><p>{escape(note.message)}</p><pre>{escape(point_at(prompt.text, note.span))}</pre>'
        f'<p class="hint">{escape(note.hint)}</p></div>'
        for note in prompt.diagnostics
    )


def bar(share: float, text: str, kind: str = "") -> str:
    """A bar from 0 to 1 with its number."""
    width = 100 * min(1.0, max(0.0, share))
    return f'<span class="bar {kind}"><i style="width:{width:.0f}%"></i></span><span class="num">{escape(text)}</span>'


def progress(done: float, words: str) -> str:
    """A thin bar and what is going on."""
    return (
        f'<div class="progress" role="progressbar" aria-valuenow="{100 * done:.0f}">'
        f'<i style="width:{100 * done:.1f}%"></i></div><p class="status">{escape(words)}</p>'
    )


def status(words: str) -> str:
    """What came of it."""
    return f'<div class="progress idle"></div><p class="status">{escape(words)}</p>'


def empty(words: str) -> str:
    """What stands where nothing is yet."""
    return f'<div class="empty"><p>{escape(words)}</p></div>'


def previews(pictures: Iterable[Image.Image], total: int) -> str:
    """Unfinished pictures, in the order of their seeds, and places for those to come."""
    cells = [f'<figure class="card soon">{picture(p, "unfinished")}</figure>' for p in pictures]
    cells += ['<figure class="card soon"><div class="blank"></div></figure>'] * (total - len(cells))
    return f'<div class="cards">{"".join(cells)}</div>'


def marks(drawn: Drawn) -> list[Mark | None]:
    """The oracle's verdict on each picture, in a few words."""
    if not drawn.verdicts:
        return [None] * len(drawn.generation.images)
    return [mark(verdict) for verdict in drawn.verdicts]


def mark(verdict: emoji.Verdict) -> Mark:
    """A verdict in a few words."""
    if verdict:
        return Mark(passed=True, words="as asked")
    return Mark(passed=False, words=", ".join(verdict.lacks))


def cards(drawn: Drawn, chosen: int = 0) -> str:
    """The pictures by falling score, each a button, with score bar and verdict."""
    scores = drawn.generation.scores.tolist()
    low, high = min(scores), max(scores)
    found = []
    rows = zip(drawn.generation.images, scores, marks(drawn), strict=True)
    for rank, (image, score, verdict) in enumerate(rows):
        share = 1.0 if high == low else 0.12 + 0.88 * (score - low) / (high - low)
        seed = drawn.generation.seeds[rank]
        found.append(
            f'<button class="card" data-rank="{rank}" aria-pressed="{str(rank == chosen).lower()}" '
            f'aria-label="rank {rank + 1}, seed {seed}, score {score:.3f}">{picture(image, f"seed {seed}")}'
            f'<span class="line">{bar(share, f"{score:.3f}")}</span>{verdict_line(verdict)}</button>'
        )
    return f'<div class="cards">{"".join(found)}</div>'


def verdict_line(verdict: Mark | None) -> str:
    """A tick or a cross and the words; nothing where nobody can tell."""
    if verdict is None:
        return ""
    kind, sign = ("good", "✓") if verdict.passed else ("bad", "✗")
    return f'<span class="verdict {kind}"><b>{sign}</b> {escape(verdict.words)}</span>'


def details(drawn: Drawn, rank: int, clauses: str, file: str) -> str:
    """All about one picture: what was asked of it, clause by clause as HTML, and how to have it again."""
    generation = drawn.generation
    settings = generation.provenance["settings"]
    facts = {
        "seed": generation.seeds[rank],
        "CLIP score": f"{generation.scores[rank]:.4f}",
        "rank": f"{rank + 1} of {len(generation.images)}",
        "weighting": drawn.settings.weighting,
        "guidance": f"{settings['guidance_scale']:g}",
        "steps": settings["num_inference_steps"],
    } | ({} if drawn.start is None else {"strength": f"{drawn.start.strength:g}"})
    rows = "".join(f"<dt>{k}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    # an address holds no picture
    link = f'<a href="?{escape(drawn.settings.query())}" target="_blank">Link</a>'
    verdict = requirements(drawn.verdicts[rank]) if drawn.verdicts else silence(drawn.silence)
    return (
        f'<div class="details">{picture(generation.images[rank], "the chosen picture")}'
        f'<div><h4>Picture</h4><dl>{rows}</dl><p class="links">'
        f'<a href="{file}" download="seed{generation.seeds[rank]}.png">Save PNG</a>'
        f"{link if drawn.start is None else ''}</p></div>"
        f'<div><h4>Oracle</h4>{verdict}</div><div class="wide"><h4>CLIP, clause by clause</h4>{clauses}</div></div>'
    )


def requirements(verdict: emoji.Verdict) -> str:
    """Each thing that was asked, and of those that the picture does not show what is wrong with it."""
    rows = (
        f'<li class="{"good" if passed else "bad"}"><b>{"✓" if passed else "✗"}</b> '
        f"{escape(str(wish) if passed else wish.lack(verdict.reading))}</li>"
        for wish, passed in verdict.items
    )
    return f'<ul class="wishes">{"".join(rows)}</ul>'


def silence(reason: str) -> str:
    """Why the oracle does not speak."""
    return f'<p class="faint">{escape(reason)}</p>'
