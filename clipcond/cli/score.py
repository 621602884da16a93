"""`clipcond score`: what can be typed."""

from dataclasses import dataclass
from pathlib import Path

from clipcond.cli.arguments import JUDGE, ClipRequest, argument, group, option


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """say how well pictures match a prompt"""

    files: list[Path] = argument("FILES", "pictures", nargs="*", type=Path)
    prompt: str | None = option("TEXT", "plain text to match", one_of=True)
    prompts: Path | None = option(
        "TABLE",
        "with columns file (relative to the table) and prompt: .csv, .tsv, .jsonl or .parquet; "
        "FILES picks some of them",
        one_of=True,
        type=Path,
    )
    file_column: str = option("C", "that holds the pictures' names", default="file")
    prompt_column: str = option("C", "that holds the prompts", default="prompt")
    clip: ClipRequest = group(*JUDGE)
    variant: str = option("V", "cosine, clipscore or torchmetrics", default="cosine")
    out: Path | None = option(
        "TABLE", "write a row a pair: .csv, .tsv, .jsonl or .parquet", type=Path
    )
    json: bool
