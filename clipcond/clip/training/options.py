"""Everything that a training can be told, with what it takes where it is told nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipcond.clip.training.settings import LAYOUTS
from clipcond.errors import ClipcondError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `clipcond.train` can be told beside data and folder.

    Attributes:
        init: a CLIP to begin with, "emoji" or whatever `load_clip` reads; None to begin with nothing.
        preset: sizes of a CLIP that begins with nothing, one of `PRESETS`; None for "tiny".
        tokenizer: transformers' object, or where one is; None for that of `init`, one learnt from the captions (tiny presets), or
            CLIP's own as an installed open_clip_torch carries it.
        lock: the tower that keeps its weights, "image" or "text".
        lora: rank of adapters that are trained in place of the weights.
        layer_decay: rate of a layer, of that of the one above it.
        wise_ft: end with the mixture of old and new weights that is best on the held-out pictures; needs `init`.
        ema: share of itself that an average of the weights keeps at a step; the average is what is written.
        image_column: of a table, the pictures.
        caption_column: of a table, the captions.
        label_column: of a table, the class of a picture, to measure zero-shot accuracy by.
        held_out: share of the pictures that is measured with and not trained on.
        val: other data of any form, measured with in place of a share.
        crop: smallest share of a picture's area that a random crop keeps; 1 for none.
        workers: processes that read pictures; None for as many as go with the device.
        steps: updates of the weights; this, `epochs` or `minutes`, or none for 32 epochs (5 with `init`).
        epochs: times that each picture is seen.
        minutes: wall time; ends elsewhere each time, so that two runs are not equal to the bit.
        loss: "infonce" or "sigmoid".
        batch: pictures a step, of all processes; None for the preset's, or 256, and no more than there are.
        chunk: pictures a forward of a process; the gradient is that of the whole batch.
        rate: highest learning rate; None for the preset's, or `defaults.fine_rate`.
        warmup: steps until the rate is reached; None for a tenth, at most 100.
        weight_decay: of AdamW, on matrices and kernels.
        precision: "float32" or "bfloat16"; None for bfloat16 on a GPU.
        checkpointing: compute activations again in the backward, to save memory.
        compile: torch.compile the towers.
        device: "cpu" or "cuda"; None for a GPU where there is one.
        seed: of the first weights, the order, captions, crops and dropout.
        resume: go on with the training in the folder, where there is one.
        save_steps: between checkpoints.
        save_minutes: between checkpoints.
        keep: checkpoints that stay.
        log_steps: between lines of log.jsonl.
        trackers: of accelerate, such as ("tensorboard",).
        layout: "hf" or "openclip"; None for "hf" where that has a place for all of the model.
    """

    init: str | Path | None = None
    preset: str | None = None
    tokenizer: Any = None
    lock: str | None = None
    lora: int | None = None
    layer_decay: int | float = 1.0
    wise_ft: bool = False
    ema: int | float | None = None
    image_column: str = "image"
    caption_column: str = "caption"
    label_column: str | None = None
    held_out: int | float = 0.1
    val: Any = None
    crop: int | float = 0.9
    workers: int | None = None
    steps: int | None = None
    epochs: int | float | None = None
    minutes: int | float | None = None
    loss: str = "infonce"
    batch: int | None = None
    chunk: int | None = None
    rate: int | float | None = None
    warmup: int | None = None
    weight_decay: int | float = 0.1
    precision: str | None = None
    checkpointing: bool = False
    compile: bool = False
    device: str | None = None
    seed: int = 0
    resume: bool = False
    save_steps: int | None = None
    save_minutes: int | float | None = 10
    keep: int = 3
    log_steps: int = 50
    trackers: tuple[str, ...] = ()
    layout: str | None = None

    def __post_init__(self) -> None:
        if self.init is not None and self.preset is not None:
            raise ClipcondError(
                f"init {str(self.init)!r} and preset {self.preset!r}: a training begins with one of the two"
            )
        if self.wise_ft and self.init is None:
            raise ClipcondError(
                "wise_ft mixes old weights with new ones; name those to begin with as init"
            )
        if self.layout not in (None, *LAYOUTS):
            raise ClipcondError(f"layout: got {self.layout!r}; choose one of {', '.join(LAYOUTS)}")
        for name in ("crop", "held_out"):
            value = getattr(self, name)
            if not 0 <= value <= 1 or (name == "crop" and value == 0):
                raise ClipcondError(
                    f"{name}: got {value}; it is a share, {'over 0' if name == 'crop' else '0'} to 1"
                )
        for name in ("batch", "workers"):
            value = getattr(self, name)
            if value is not None and value < (1 if name == "batch" else 0):
                raise ClipcondError(
                    f"{name}: got {value}; needs at least {1 if name == 'batch' else 0}"
                )
