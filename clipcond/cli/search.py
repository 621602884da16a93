"""`clipcond search`: what can be typed after index, find, duplicates, cluster, stats and tune."""

from dataclasses import dataclass
from pathlib import Path

from clipcond.cli.arguments import BULK, DEVICE, EngineRequest, argument, group, option
from clipcond.cli.values import count, finite

DB = ("DIR", "the index's folder")
SHEET = ("FILE", "write a contact sheet as .png, or .html")


@dataclass(frozen=True, slots=True, kw_only=True)
class Add:
    """index pictures of folders, zips and tars; run again, take in what is new and drop what is gone"""

    roots: list[Path] = argument("PATH", "folders, archives or pictures", type=Path, nargs="+")
    db: Path = option(*DB, required=True, type=Path)
    scorer: str | None = option(
        "C",
        "'emoji', 'judge', a CLIP folder, file or hub id (default: the index's own, or emoji for a new one)",
    )
    table: Path | None = option(
        "TABLE",
        "whose other columns are kept with the pictures that it names, for --where",
        type=Path,
    )
    file_column: str = option("C", "of the table, that names pictures", default="file")
    device: str | None = option(*DEVICE)
    bulk: EngineRequest = group(*BULK)
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """find pictures by a text, a picture, or several with signs and weights"""

    query: str = argument("QUERY", "as 'a red fox', ./x.jpg or '2*a dog + ./x.jpg - snow'")
    db: Path = option(*DB, required=True, type=Path)
    where: str | None = option(
        "SQL",
        "over path, bytes, width, height, date, prompt, seed and generator, as \"width > 512 and date > '2025'\"",
    )
    top: int = option("N", "pictures at most", default=10, type=count)
    min: float | None = option("X", "least cosine of a picture that is shown", type=finite)
    distinct: float | None = option(
        "X",
        "show of near duplicates, pictures with at least this cosine to each other, only the best; such as 0.98",
        type=finite,
    )
    approximate: bool = option(
        None, "use the index that tune made", action="store_true", default=False
    )
    copy_to: Path | None = option("DIR", "copy the pictures there, numbered", type=Path)
    sheet: Path | None = option(*SHEET, type=Path)
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """find near duplicates: groups of pictures that chains of such pairs join"""

    db: Path = option(*DB, required=True, type=Path)
    threshold: float = option("X", "least cosine of a pair", default=0.98, type=finite)
    sheet: Path | None = option(*SHEET, type=Path)
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """find kinds of pictures: groups around one picture that all others of its group are near to"""

    db: Path = option(*DB, required=True, type=Path)
    threshold: float = option(
        "X", "least cosine with the picture in the middle", default=0.9, type=finite
    )
    least: int = option("N", "pictures that make a group, at least", default=3, type=count)
    sheet: Path | None = option(*SHEET, type=Path)
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """say what an index holds"""

    db: Path = option(*DB, required=True, type=Path)
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tune:
    """make an approximate index, for a million pictures and more, and measure what it finds"""

    db: Path = option(*DB, required=True, type=Path)
    json: bool
