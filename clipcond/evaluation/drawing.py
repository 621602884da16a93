"""Drawing what is to be judged: every setting, every prompt, every seed, in shards of one setting each.

Pictures lie as GenEval has them, PICTURES/SETTING/00012/samples/0003.png with 00012/metadata.jsonl, so that its detector runs on
them as they are. Each PNG says how it was made.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from clipcond.bulk import Shard, batched
from clipcond.conditioning import Conditioner
from clipcond.errors import ClipcondError
from clipcond.evaluation.judges import Judge, clip_of
from clipcond.evaluation.pictures import Picture
from clipcond.evaluation.prompts import Prompt
from clipcond.evaluation.rows import Row, Seen, judge_rows, write_part
from clipcond.evaluation.settings import PROMPT, Setting
from clipcond.files import first_line, write_whole
from clipcond.gallery.metadata import png_info
from clipcond.generation import conditions, draw, is_circular, looks, plain_text
from clipcond.models import is_emoji, load_pipeline, locate

PICTURES = "pictures"
_A_SHARD = 32  # pictures, held in memory until they are judged


@dataclass(frozen=True, slots=True)
class Sitting:
    """A prompt to be drawn by a setting, with all seeds; both by their places."""

    setting: int
    number: int
    prompt: Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is drawn, and how.

    Attributes:
        settings: all of them.
        seeds: of every prompt.
        out: the folder of the evaluation.
        batch_size: pictures a call of the pipeline.
        device: where pipelines run.
        dtype: of their weights.
    """

    settings: tuple[Setting, ...]
    seeds: range
    out: Path
    batch_size: int
    device: torch.device
    dtype: torch.dtype

    def shards(self, prompts: Sequence[Prompt], name: Any) -> Iterator[Shard]:
        """A few prompts of one setting each."""
        number = 0
        for place in range(len(self.settings)):
            sittings = (Sitting(place, i, prompt) for i, prompt in enumerate(prompts))
            for some in batched(sittings, max(1, _A_SHARD // len(self.seeds))):
                yield Shard(number, some, name(number))
                number += 1

    def file(self, sitting: Sitting, seed: int) -> Path:
        """Where a picture is written."""
        label = self.settings[sitting.setting].label
        slug = re.sub(r"[^\w.]+", "-", label).strip("-")[:80]
        folder = self.out / PICTURES / f"{sitting.setting:02d}-{slug}" / f"{sitting.number:05d}"
        return folder / "samples" / f"{seed:04d}.png"


class Studio:
    """One worker's pipeline, of the setting that is being drawn."""

    def __init__(self, plan: Plan, judges: dict[str, Judge]) -> None:
        self.plan, self.judges = plan, judges
        self._pipes: dict[str, Any] = {}  # the model that was used last
        self._failed: dict[str, str] = {}  # models that do not load -> why

    def finish(self, shard: Shard, _prepared: object) -> None:
        """Draw a shard's pictures, judge them, write them and their rows."""
        seen: list[Seen] = []
        infos: list[dict[str, Any]] = []
        circular: dict[str, list[str]] = {}
        for sitting in shard.items:
            setting = self.plan.settings[sitting.setting]
            images: Sequence[Image.Image | None] = [None] * len(self.plan.seeds)
            about: dict[str, Any] = {}
            problem = ""
            try:
                pipe = self._pipe(setting)
                images, about = self._drawn(pipe, setting, sitting.prompt)
                circular[setting.label] = self._circular(pipe)
            except ClipcondError as error:
                problem = first_line(error)
            text = about.get("scored_text", sitting.prompt.text)
            for seed, image in zip(self.plan.seeds, images, strict=True):
                picture = Picture(
                    file=self.plan.file(sitting, seed),
                    prompt=Prompt(text, sitting.prompt.id, sitting.prompt.category),
                    model=setting.label,
                    seed=seed,
                    problem=problem,
                )
                seen.append(Seen(picture, image))
                infos.append(about)
        rows, made = judge_rows(self.judges, seen, self.plan.out)
        for each, about, row in zip(seen, infos, rows, strict=True):
            if each.image is not None:
                self._save(each.picture, each.image, about, row)
        for sitting in shard.items:
            self._save_metadata(sitting)
        write_part(shard.file, rows, made, circular=circular)

    def _circular(self, pipe: Any) -> list[str]:
        """Judges whose text tower also conditions the pictures."""
        scorers = {name: clip_of(judge) for name, judge in self.judges.items()}
        return [n for n, scorer in scorers.items() if scorer and is_circular(pipe, scorer)]

    def _pipe(self, setting: Setting) -> Any:
        """The setting's pipeline, loaded unless it was the last one.

        Raises:
            ClipcondError: it does not load; asked again, it is not tried again.
        """
        key = (
            str(setting.model) if isinstance(setting.model, str | Path) else f"{id(setting.model)}"
        )
        if key in self._failed:
            raise ClipcondError(self._failed[key])
        if key not in self._pipes:
            self._pipes.clear()  # first, since two may not fit
            try:
                self._pipes[key] = self._loaded(setting)
            except ClipcondError as error:
                self._failed[key] = first_line(error)
                raise
        pipe, own = self._pipes[key]
        pipe.scheduler = own if setting.scheduler is None else _scheduler(setting.scheduler, own)
        return pipe

    def _loaded(self, setting: Setting) -> tuple[Any, Any]:
        pipe = setting.model
        if isinstance(pipe, str | Path):
            pipe = load_pipeline(pipe, device=self.plan.device, dtype=self.plan.dtype)
        pipe.set_progress_bar_config(disable=True)  # the work has one
        return pipe, pipe.scheduler

    def _drawn(
        self, pipe: Any, setting: Setting, prompt: Prompt
    ) -> tuple[list[Image.Image], dict[str, Any]]:
        """(a picture a seed, what to write into them)."""
        model = setting.model
        shipped = isinstance(model, str | Path) and is_emoji(locate(model))
        setting = setting.at_best(shipped=shipped)
        text = setting.template.replace(PROMPT, prompt.text)
        conditioner = Conditioner.from_pipeline(pipe, **setting.conditioner_options)
        steps = looks(pipe, setting.pipe_kwargs)
        conditioning = conditioner(text, negative_prompt=setting.negative, steps=steps)
        seeds, batch = self.plan.seeds, self.plan.batch_size
        with conditioning.attached(pipe):
            images = draw(
                pipe,
                lambda part: conditioning.kwargs_for(pipe, num_images_per_prompt=len(seeds[part])),
                seeds,
                batch_size=batch,
                **setting.pipe_kwargs,
            )
        about = {
            "prompt": text,
            "negative_prompt": setting.negative,
            "scored_text": plain_text(
                prompt.text, setting.dialect, **({"steps": steps} if steps else {})
            ),
            "setting": setting.label,
            **conditions(pipe, conditioner, text, setting.negative, **setting.pipe_kwargs),
        }
        return images, about

    def _save(self, picture: Picture, image: Image.Image, about: dict[str, Any], row: Row) -> None:
        scores = {name: row[name] for name in self.judges}
        info = png_info(about, seed=picture.seed or 0, scored={"scores": scores}, size=image.size)
        picture.file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(picture.file, lambda path: image.save(path, "PNG", pnginfo=info))

    def _save_metadata(self, sitting: Sitting) -> None:
        prompt = sitting.prompt
        folder = self.plan.file(sitting, 0).parent.parent
        plain = {"tag": prompt.category, "include": [], "prompt": prompt.text}
        text = prompt.about or json.dumps(plain, ensure_ascii=False)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "metadata.jsonl", lambda path: path.write_text(text, encoding="utf-8"))


def _scheduler(name: str, own: Any) -> Any:
    """A scheduler of diffusers' with the configuration of a pipeline's own.

    Raises:
        ClipcondError: there is none of that name.
    """
    import diffusers

    kind = getattr(diffusers, name, None)
    if not isinstance(kind, type) or not issubclass(kind, diffusers.SchedulerMixin):
        raise ClipcondError(
            f"scheduler: diffusers has no {name!r}; name a class such as DPMSolverMultistepScheduler"
        )
    return kind.from_config(own.config)  # type: ignore[no-untyped-call]  # as diffusers has it
