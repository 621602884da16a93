"""`clipcond.train`: pictures with captions to a CLIP.

open the data -> a CLIP to begin with -> fit -> mix with what it began with (WiSE-FT) -> measure -> write the folder
"""

from pathlib import Path
from typing import Any

from clipcond.clip.tokenizer import find_tokenizer
from clipcond.clip.towers import Clip
from clipcond.clip.training import defaults
from clipcond.clip.training.accelerating import make_accelerator
from clipcond.clip.training.building import build_clip, start_clip
from clipcond.clip.training.job import Job
from clipcond.clip.training.options import Options
from clipcond.clip.training.pairs import Pairs, open_pairs
from clipcond.clip.training.presets import CLIPS_OWN, Preset, find_preset
from clipcond.clip.training.result import Trained
from clipcond.clip.training.rows import Columns
from clipcond.clip.training.settings import Keeping
from clipcond.clip.training.sources import all_captions
from clipcond.clip.training.vocabulary import clips_own, learn

PRESET = "tiny"


def train(data: Any, out: str | Path, **options: Any) -> Trained:
    """Train a CLIP on pictures with captions; `clipcond train` is the same on the command line.

        clipcond.train("pictures", "my-clip", init="emoji", epochs=5)

    Under `accelerate launch` or torchrun every process calls it alike.

    Args:
        data: a folder of pictures, a .csv, .tsv, .jsonl or .parquet table, webdataset tars, a folder of Hugging Face datasets, or
            one of their Dataset objects (docs/training-clip.md has the forms).
        out: the folder that becomes a CLIP; new or empty, or of this training and resume=True.
        **options: the fields of `clipcond.clip.training.Options`.

    Raises:
        TypeError: an option that there is not.
        ClipcondError: options that do not go together, data that cannot be read, a folder that holds something else, or a
            training that diverged. The message says what to change.
    """
    told, out = Options(**options), Path(out)
    keeping = Keeping(
        steps=told.save_steps,
        minutes=told.save_minutes,
        last=told.keep,
        log_steps=told.log_steps,
    )
    pairs = open_pairs(
        data,
        Columns(image=told.image_column, caption=told.caption_column, label=told.label_column),
        val=told.val,
        share=told.held_out,
        seed=told.seed,
    )
    preset = None if told.init is not None else find_preset(told.preset or PRESET)
    clip = _start(told, preset, pairs)
    batch = defaults.batch_of(told, preset, rows=len(pairs.rows))
    settings = defaults.settings_of(
        told, clip.architecture, preset, rows=len(pairs.rows), batch=batch
    )
    job = Job(
        told=told,
        out=out,
        pairs=pairs,
        clip=clip,
        batch=batch,
        settings=settings,
        keeping=keeping,
        accelerator=make_accelerator(settings, out=out, device=told.device, trackers=told.trackers),
    )
    return job.run()


def _start(told: Options, preset: Preset | None, pairs: Pairs) -> Clip:
    """The CLIP that training begins with."""
    if preset is None:
        return start_clip(told.init or "", tokenizer=told.tokenizer)
    name = told.preset or PRESET
    if told.tokenizer is not None:
        tokenizer = find_tokenizer(told.tokenizer, Path(name), CLIPS_OWN, bundled=False)
    elif preset.learns_vocabulary:
        captions = all_captions(pairs.source, pairs.rows)
        tokenizer = learn(captions, preset.architecture.text.vocabulary)
    else:
        tokenizer = clips_own(name)
    return build_clip(preset, tokenizer, told.seed)
