"""`clipcond classify`: what can be typed."""

from dataclasses import dataclass
from pathlib import Path

from clipcond.cli.arguments import JUDGE, ClipRequest, argument, group, option
from clipcond.cli.values import count


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """say which of some classes pictures show (zero-shot)"""

    files: list[Path] = argument("FILES", "pictures", nargs="+", type=Path)
    classes: str | None = option(
        "A,B,C", "names; 'cat|kitty' gives one class two names", one_of=True
    )
    prompts: Path | None = option(
        "JSON", "file with an object: each class's list of prompts", one_of=True, type=Path
    )
    classifier: Path | None = option("FILE", "one that --save wrote", one_of=True, type=Path)
    template: list[str] | None = option(
        "T",
        "text around a name, with {} (default: 'a photo of a {}'); may be given several times",
        action="append",
    )
    unknown: Path | None = option(
        "FILE",
        "names of other things, one a line: answer 'unknown' where no class stands out among them",
        type=Path,
    )
    clip: ClipRequest = group(*JUDGE)
    top: int = option("K", "classes a picture", default=1, type=count)
    save: Path | None = option("FILE", "write the classifier (.safetensors)", type=Path)
    truth: Path | None = option(
        "TABLE", "with columns file and class: .csv, .tsv, .jsonl or .parquet", type=Path
    )
    file_column: str = option("C", "of --truth that holds the pictures' names", default="file")
    class_column: str = option("C", "of --truth that holds the classes", default="class")
    out: Path | None = option(
        "DIR", "with --truth: write confusion.csv and per_class.csv", type=Path
    )
    json: bool
