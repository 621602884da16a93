"""`clipcond evaluate`: what can be typed after run, pictures, compare and retrieval."""

from dataclasses import dataclass
from pathlib import Path

from clipcond.cli.arguments import (
    BULK,
    DEVICE,
    DIALECT,
    DTYPES,
    LONG_PROMPT,
    MODEL,
    WEIGHTING,
    EngineRequest,
    argument,
    group,
    option,
)
from clipcond.cli.values import count, counts, numbers, seed

SCORER = "[NAME=]SOURCE[@FORMULA]: a CLIP ('emoji', 'judge', a folder, file or hub id), or 'oracle'; FORMULA is cosine, clipscore, torchmetrics, pickscore, hpsv2 or aesthetic:HEAD; may be given several times (default: emoji)"
PROMPTS = "emoji, emoji-train, a folder of .txt (DPG-Bench), .txt (T2I-CompBench), .jsonl (GenEval), .tsv (PartiPrompts), .csv or .parquet; may be given several times"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRequest:
    """Who judges, as `clipcond.evaluation.find_judges` takes it."""

    scorer: list[str] | None = option("S", SCORER, action="append")
    scorer_dtype: str = option(
        None, "that CLIP's towers compute in", default="float32", choices=DTYPES
    )
    scorer_batch_size: int = option("N", "pictures at once", default=32, type=count)
    crop: str | None = option("P", "of pictures that are not square: center, squash, pad or multi")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnsRequest:
    """Which columns of a table hold what."""

    prompt_column: str | None = option("C", "that holds prompts (default: prompt, caption or text)")
    category_column: str | None = option(
        "C", "that holds categories (default: category, tag or task)"
    )
    id_column: str | None = option("C", "that holds ids (default: id, item_id or prompt_id)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsRequest:
    """Fields of `clipcond.evaluation.Setting`, of some several: all combinations are drawn."""

    model: list[str] | None = option(
        "M", f"{MODEL}; may be given several times (default: emoji)", action="append"
    )
    steps: tuple[int, ...] | None = option("N,N", "denoising steps, each", type=counts)
    guidance_scale: tuple[float, ...] | None = option(
        "G,G", "classifier-free guidance, each", type=numbers
    )
    scheduler: list[str] | None = option(
        "CLASS", "of diffusers, as DPMSolverMultistepScheduler; may be given several times", action="append"
    )  # fmt: skip
    template: list[str] | None = option(
        "TEXT", "around each prompt, as 'a photo of {prompt}'; may be given several times", action="append"
    )  # fmt: skip
    negative: str | None = option("TEXT", "what to steer away from")
    height: int | None = option("PX", "of the pictures (default: the model's)", type=count)
    width: int | None = option("PX", "of the pictures (default: the model's)", type=count)
    dialect: str = option("D", DIALECT, default="a1111")
    weighting: str = option("W", WEIGHTING, default="comfy")
    long_prompt: str = option("P", LONG_PROMPT, default="a1111")


JUDGES = ("who judges", JudgeRequest)
COLUMNS = ("columns of a table", ColumnsRequest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """draw prompts with one or several models and judge the pictures"""

    spec: Path | None = argument(
        "SPEC", "a .toml with a [[models]] for each model, and perhaps prompts, seeds, first_seed and scorers", type=Path, nargs="?"
    )  # fmt: skip
    prompts: list[str] | None = option("SET", PROMPTS, action="append")
    seeds: int | None = option("N", "pictures a prompt (default: 4)", type=count)
    first_seed: int | None = option("S", "first of the seeds (default: 0)", type=seed)
    out: Path = option("DIR", "folder of the evaluation", required=True, type=Path)
    table: Path | None = option(
        "FILE", "write the table as .csv, .tsv, .jsonl or .parquet", type=Path
    )
    write_geneval: Path | None = option(
        "FILE", "write the oracle's verdicts as GenEval's results.jsonl", type=Path
    )
    batch_size: int = option("N", "pictures a call of the pipeline", default=8, type=count)
    device: str | None = option(*DEVICE)
    dtype: str | None = option(
        None, "of pipelines (default: float32 on the CPU, else float16)", choices=DTYPES
    )
    settings: SettingsRequest = group("what draws, where no SPEC says", SettingsRequest)
    judges: JudgeRequest = group(*JUDGES)
    columns: ColumnsRequest = group(*COLUMNS)
    bulk: EngineRequest = group(*BULK)
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """judge pictures that exist: a folder as GenEval or T2I-CompBench have it, PNGs that say their prompts, or a table"""

    source: Path = argument("FOLDER|TABLE", "the pictures", type=Path)
    prompts: list[str] | None = option(
        "SET", f"whose ids are the pictures' names: {PROMPTS}", action="append"
    )
    name: str | None = option("NAME", "of what drew them (default: the folder's)")
    geneval: Path | None = option(
        "FILE", "results.jsonl of GenEval's detector, to stand beside the scores", type=Path
    )
    out: Path = option("DIR", "folder of the evaluation", required=True, type=Path)
    table: Path | None = option(
        "FILE", "write the table as .csv, .tsv, .jsonl or .parquet", type=Path
    )
    write_geneval: Path | None = option(
        "FILE", "write the oracle's verdicts as GenEval's results.jsonl", type=Path
    )
    device: str | None = option(*DEVICE)
    judges: JudgeRequest = group(*JUDGES)
    columns: ColumnsRequest = group(*COLUMNS)
    bulk: EngineRequest = group(*BULK)
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """say which model is better, by evaluations of the same prompts"""

    evaluations: list[Path] = argument("DIR", "folders of evaluations", type=Path, nargs="+")
    baseline: str | None = option("MODEL", "compare the others with it (default: every two)")
    report: Path | None = option("FILE", "write an .html page about them", type=Path)
    table: Path | None = option(
        "FILE", "write the comparisons as .csv, .tsv, .jsonl or .parquet", type=Path
    )
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """find pictures by captions and captions by pictures: recall at 1, 5 and 10"""

    table: Path = argument("TABLE", "with a picture's file and a caption a row; a picture may have several, a caption too", type=Path)  # fmt: skip
    scorer: str = option(
        "C", "'emoji' (shipped), 'judge', a CLIP folder, file or hub id", default="emoji"
    )
    file_column: str = option("C", "that holds files", default="file")
    prompt_column: str = option("C", "that holds captions", "--caption-column", default="prompt")
    batch_size: int = option("N", "pictures at once", default=32, type=count)
    device: str | None = option(*DEVICE)
    json: bool
