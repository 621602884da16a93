"""Uploaded pictures ranked and named by one or two CLIPs: the numbers, and the tables that show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from PIL import Image

from clipcond.errors import ClipcondError
from clipcond.score import ClipScorer, build_classifier
from clipcond.score.calibration import calibrate
from clipcond.score.clauses import ClauseTable, clause_table
from clipcond.score.features import cut_texts

from .clauses import meter, read, summary
from .studio import Studio
from .uploads import Upload
from .view import bar, picture

MAX_TEXTS = 32
_TOP = 3  # classes shown of each picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What one CLIP says of every picture and one prompt.

    Attributes:
        name: of the CLIP.
        cosine: of each picture.
        percentile: share of other texts that fit the picture less, in percent.
        cut: what that CLIP did not read of the texts, in words; "" where it read all.
    """

    name: str
    cosine: tuple[float, ...]
    percentile: tuple[float, ...]
    cut: str

    @property
    def order(self) -> list[int]:
        """Pictures, best first; equal ones as they came."""
        return sorted(range(len(self.cosine)), key=lambda i: -self.cosine[i])


def columns(
    scorers: Mapping[str, ClipScorer], upload: Upload, prompt: str, null: Sequence[str]
) -> list[Column]:
    """Score one prompt with every CLIP."""
    pictures = list(upload.pictures)
    found = []
    for name, scorer in scorers.items():
        told = calibrate(scorer, pictures, [prompt] * len(pictures), null)
        found.append(
            Column(
                name=name,
                cosine=tuple(told.cosine.tolist()),
                percentile=tuple(told.percentile.tolist()),
                cut=unread([prompt] if bool(told.truncated.any()) else [], scorer),
            )
        )
    return found


def ranking(upload: Upload, prompt: str, found: Sequence[Column]) -> str:
    """Pictures by the first CLIP's cosine; beside it the second's, with the rank that it gives."""
    first, ranks = found[0], [column.order for column in found]
    low, high = min(first.cosine), max(first.cosine)
    heads = "".join(f'<th colspan="2">{escape(column.name)}</th>' for column in found)
    rows = []
    for rank, i in enumerate(first.order):
        share = (first.cosine[i] - low) / (high - low) if high > low else 1.0
        cells = f"<td>{bar(0.06 + 0.94 * share, f'{first.cosine[i]:.3f}')}</td>"
        cells += f'<td class="num">{first.percentile[i]:.0f} %</td>'
        for column, order in zip(found[1:], ranks[1:], strict=True):
            moved = order.index(i) + 1
            kind = "faint" if moved == rank + 1 else "moved"
            cells += (
                f'<td class="num">{column.cosine[i]:.3f} <span class="{kind}">#{moved}</span></td>'
            )
            cells += f'<td class="num">{column.percentile[i]:.0f} %</td>'
        rows.append(f'<tr><th class="num">{rank + 1}</th>{_named(upload, i)}{cells}</tr>')
    return _titled(
        f"Ranking for “{prompt}”",
        f'<tr><th></th><th colspan="2">picture</th>{heads}</tr>',
        rows,
        "cosine, and the percentile: the share of other texts that fit the picture less",
        [f"{column.name}: {column.cut}" for column in found if column.cut],
    )


def clauses(studio: Studio, upload: Upload, prompt: str, order: Sequence[int]) -> str:
    """Which part of the prompt is in which picture."""
    scorer, null = studio.scorer, studio.null
    readings = [read(upload.pictures[i]) if studio.shipped else None for i in order]
    tables = [clause_table(scorer, upload.pictures[i], prompt, null) for i in order]
    names = "".join(f"<th>{escape(row.clause.text)}</th>" for row in tables[0].rows)
    cut = unread([row.clause.text for row in tables[0].rows if row.truncated], scorer)
    rows = [
        f'<tr>{_named(upload, i)}{_clause_cells(table)}<td class="lack">{escape(summary(table, reading))}</td></tr>'
        for i, table, reading in zip(order, tables, readings, strict=True)
    ]
    return _titled(
        "Clause by clause",
        f'<tr><th colspan="2">picture</th>{names}<th>in words</th></tr>',
        rows,
        "standard deviations above the clauses of other prompts; red hardly stands out",
        [cut] if cut else [],
    )


def _clause_cells(table: ClauseTable) -> str:
    return "".join(
        f'<td class="{"bad" if row.missing else ""}">{meter(row)}</td>' for row in table.rows
    )


def matrix(scorer: ClipScorer, upload: Upload, prompts: Sequence[str]) -> str:
    """Every picture with every prompt; each prompt's best picture in bold."""
    if len(prompts) > MAX_TEXTS:
        raise ClipcondError(f"prompts: got {len(prompts)}; at most {MAX_TEXTS}")
    text = scorer.text_features(list(prompts))
    cosine = scorer.image_features(list(upload.pictures)) @ text.features.T
    cut = unread(cut_texts(prompts, text), scorer)
    best = cosine.argmax(0).tolist()
    low, high = cosine.min().item(), cosine.max().item()
    spread = max(high - low, 1e-6)
    rows = []
    for i, values in enumerate(cosine.tolist()):
        cells = "".join(
            f'<td class="heat{" best" if best[j] == i else ""}" style="--s:{(value - low) / spread:.2f}">{value:.3f}</td>'
            for j, value in enumerate(values)
        )
        rows.append(f"<tr>{_named(upload, i)}{cells}</tr>")
    names = "".join(f"<th>{escape(prompt)}</th>" for prompt in prompts)
    return _titled(
        "Every picture, every prompt",
        f'<tr><th colspan="2">picture</th>{names}</tr>',
        rows,
        "cosine; framed: the best picture of a prompt",
        [cut] if cut else [],
    )


def classes(
    scorers: Mapping[str, ClipScorer], upload: Upload, names: Sequence[str], template: str
) -> str:
    """The likeliest classes of every picture, one column a CLIP.

    Raises:
        ClipcondError: too many names, or what `build_classifier` says of them.
    """
    if not 2 <= len(names) <= MAX_TEXTS:
        raise ClipcondError(f"classes: got {len(names)}; needs 2 to {MAX_TEXTS} names")
    made = {name: build_classifier(list(names), s, (template,)) for name, s in scorers.items()}
    found = {
        name: made[name].classify(list(upload.pictures), scorer) for name, scorer in scorers.items()
    }
    cut = {name: unread(made[name].truncated, scorer) for name, scorer in scorers.items()}
    rows = []
    for i in range(len(upload.pictures)):
        cells = ""
        for probabilities in found.values():
            top = probabilities[i].topk(min(_TOP, len(names)))
            lines = "".join(
                f"<tr><th>{escape(names[k])}</th><td>{bar(p, f'{100 * p:.0f} %')}</td></tr>"
                for p, k in zip(top.values.tolist(), top.indices.tolist(), strict=True)
            )
            cells += f'<td><table class="clauses">{lines}</table></td>'
        rows.append(f"<tr>{_named(upload, i)}{cells}</tr>")
    heads = "".join(f"<th>{escape(name)}</th>" for name in found)
    return _titled(
        "Zero-shot",
        f'<tr><th colspan="2">picture</th>{heads}</tr>',
        rows,
        f"probabilities among your {len(names)} classes; a class that is not named cannot win",
        [f"{name}: {told}" for name, told in cut.items() if told],
    )


def unread(texts: Sequence[str], scorer: ClipScorer) -> str:
    """That these texts counted without their ends, in words; "" for none."""
    if not texts:
        return ""
    what = "the text is" if len(texts) == 1 else f"{len(texts)} texts are"
    return f"{what} longer than the {scorer.clip.positions} tokens that it reads; the end does not count"


def _named(upload: Upload, i: int) -> str:
    image: Image.Image = upload.pictures[i]
    name = escape(upload.names[i])
    return f'<td class="thumb">{picture(image, upload.names[i])}</td><td class="name" title="{name}">{name}</td>'


def _titled(
    title: str, head: str, rows: Sequence[str], caption: str, cut: Sequence[str] = ()
) -> str:
    warnings = "".join(f'<p class="cut">{escape(line)}</p>' for line in cut)
    return (
        f'<section class="told"><h4>{escape(title)}</h4><div class="scroll"><table class="told"><thead>{head}</thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div>{warnings}<p class="faint">{escape(caption)}</p></section>'
    )
