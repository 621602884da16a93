"""`clipcond train`: what can be typed."""

from dataclasses import dataclass
from pathlib import Path

from clipcond.cli.arguments import DEVICE, argument, group, option
from clipcond.cli.values import count, finite, seed, share


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRequest:
    """Pictures with captions, and which of them are held out."""

    image_column: str = option(
        "C", "of a table: pictures (files beside it, or bytes)", default="image"
    )
    caption_column: str = option("C", "of a table: captions, one or a list", default="caption")
    label_column: str | None = option(
        "C",
        "of a table: the class of a picture; zero-shot accuracy is then measured",
    )
    held_out: float = option(
        "SHARE",
        "of the pictures that are measured with and not trained on",
        default=0.1,
        type=share,
    )
    val: str | None = option("DATA", "other data to measure with, in place of a share")
    crop: float = option(
        "SHARE",
        "smallest area of a picture that a random crop keeps; 1 for no crop",
        default=0.9,
        type=share,
    )
    workers: int | None = option(
        "N", "processes that read pictures (default: by the cores)", type=int
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What is trained."""

    init: str | None = option("M", "a CLIP to begin with: 'emoji', a folder, a file or a hub id")
    preset: str | None = option(
        "P",
        "sizes of a CLIP that begins with nothing: tiny, tiny-resnet, RN50, ViT-B/32, ViT-B/16 or ViT-L/14 (default: tiny, without --init)",
    )
    tokenizer: str | None = option(
        "T",
        "folder, hub id or vocabulary file (default: --init's own; learnt from the captions for a tiny preset)",
    )
    lock: str | None = option(None, "tower that keeps its weights", choices=("image", "text"))
    lora: int | None = option(
        "RANK", "train adapters of this rank in place of the weights", type=count
    )
    layer_decay: float = option(
        "D",
        "learning rate of a layer, as a share of that of the one above it",
        default=1.0,
        type=finite,
    )
    wise_ft: bool = option(
        None,
        "with --init: mix the old weights and the new, as measures best on held-out pictures",
        action="store_true",
        default=False,
    )
    ema: float | None = option("SHARE", "keep an average of the weights, such as 0.999", type=share)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopRequest:
    """How long, how fast, in which portions."""

    steps: int | None = option("N", "end after so many updates of the weights", type=count)
    epochs: float | None = option(
        "N", "times that each picture is seen (default: 32, or 5 with --init)", type=finite
    )
    minutes: float | None = option("M", "end after so much wall time", type=finite)
    loss: str = option(
        None,
        "how pictures and captions are contrasted",
        default="infonce",
        choices=("infonce", "sigmoid"),
    )
    batch: int | None = option(
        "N", "pictures a step, of all processes (default: by the model)", type=count
    )
    chunk: int | None = option(
        "N",
        "pictures a forward, to save memory; the gradient is that of the whole batch",
        type=count,
    )
    rate: float | None = option("R", "highest learning rate (default: by the model)", type=finite)
    warmup: int | None = option(
        "N", "steps until --rate is reached (default: a tenth, at most 100)", type=int
    )
    weight_decay: float = option("W", "on matrices", default=0.1, type=finite)
    precision: str | None = option(
        None,
        "of the towers' arithmetic (default: bfloat16 on a GPU, float32 on a CPU)",
        choices=("float32", "bfloat16"),
    )
    checkpointing: bool = option(
        None, "compute activations twice to save memory", action="store_true", default=False
    )
    compile: bool = option(
        None, "run the towers through torch.compile", action="store_true", default=False
    )
    device: str | None = option(*DEVICE)
    seed: int = option("S", "of order, captions, crops and dropout", default=0, type=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRequest:
    """What is written on the way."""

    resume: bool = option(None, "go on with what is in --out", action="store_true", default=False)
    save_steps: int | None = option("N", "updates between checkpoints", type=count)
    save_minutes: float = option("M", "minutes between checkpoints", default=10.0, type=finite)
    keep: int = option("K", "checkpoints that stay", default=3, type=count)
    log_steps: int = option("N", "updates between lines of log.jsonl", default=50, type=count)
    tracker: list[str] | None = option(
        "T",
        "one of accelerate's, such as tensorboard or wandb; may be given several times",
        action="append",
    )
    layout: str | None = option(
        None,
        "of the CLIP that is written (default: hf, or openclip for what hf has no place for)",
        choices=("hf", "openclip"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """train a CLIP on pictures with captions, from nothing or from another one"""

    data: str = argument(
        "DATA",
        "a folder of pictures with .txt files (or telling names), a .csv, .tsv, .jsonl or .parquet table, webdataset .tar files, "
        "or a folder of Hugging Face datasets",
    )
    out: Path = option(
        "DIR", "where the CLIP is written, with checkpoints and the log", required=True, type=Path
    )
    of_data: DataRequest = group("data", DataRequest)
    of_model: ModelRequest = group("model", ModelRequest)
    of_loop: LoopRequest = group("training", LoopRequest)
    of_keeping: KeepRequest = group("keeping", KeepRequest)
    json: bool
