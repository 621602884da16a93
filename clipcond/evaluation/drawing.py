"""Drawing what is to be judged: every setting, every prompt, every seed, in shards of one setting each.

Pictures lie as GenEval has them, PICTURES/SETTING/00012/samples/0003.png with 00012/metadata.jsonl, so that its detector runs on
them as they are. Each PNG says how it was made.
"""

import json
import multiprocessing
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import diffusers
import torch
import transformers
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
from clipcond.models import is_emoji, load_pipeline, locate, pick_device
from clipcond.precompute.job import shape_of

PICTURES = "pictures"
_A_SHARD = 32  # pictures at least, held in memory until they are judged


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
        device: where pipelines run on a worker; None: cuda where there is one.
        dtype: of their weights.
    """

    settings: tuple[Setting, ...]
    seeds: range
    out: Path
    batch_size: int
    device: str | None
    dtype: torch.dtype

    def shards(self, prompts: Sequence[Prompt], name: Any) -> Iterator[Shard]:
        """A few prompts of one setting each."""
        number, size = 0, max(_A_SHARD, self.batch_size)
        for place in range(len(self.settings)):
            sittings = (Sitting(place, i, prompt) for i, prompt in enumerate(prompts))
            for some in batched(sittings, max(1, size // len(self.seeds))):
                yield Shard(number, some, name(number))
                number += 1

    def file(self, sitting: Sitting, seed: int) -> Path:
        """Where a picture is written."""
        label = self.settings[sitting.setting].label
        slug = re.sub(r"[^\w.]+", "-", label).strip("-")[:80]
        folder = self.out / PICTURES / f"{sitting.setting:02d}-{slug}" / f"{sitting.number:05d}"
        return folder / "samples" / f"{seed:04d}.png"


@dataclass(frozen=True, slots=True)
class Drawn:
    """The pictures of a sitting, one a seed, and what to write into them; or why there are none."""

    images: Sequence[Image.Image | None]
    about: dict[str, Any]
    problem: str = ""


class Studio:
    """One worker's pipeline, of the setting that is being drawn."""

    def __init__(self, plan: Plan, judges: dict[str, Judge]) -> None:
        self.plan, self.judges = plan, judges
        self._pipes: dict[str, Any] = {}  # the model that was used last
        self._failed: dict[str, str] = {}  # models that do not load -> why

    def finish(self, shard: Shard, _prepared: object) -> None:
        """Draw a shard's pictures, judge them, write them and their rows."""
        setting = self.plan.settings[shard.items[0].setting]
        circular: dict[str, list[str]] = {}
        try:
            with self._set_up(setting) as pipe:
                circular = {setting.label: self._circular(pipe)}
                drawn = self._drawn(pipe, setting, shard.items)
        except ClipcondError as error:
            drawn = {sitting: self._nothing(error) for sitting in shard.items}
        seen, abouts = [], []
        for sitting in shard.items:
            own = drawn[sitting]
            text = own.about.get("scored_text", sitting.prompt.text)
            for seed, image in zip(self.plan.seeds, own.images, strict=True):
                picture = Picture(
                    file=self.plan.file(sitting, seed),
                    prompt=Prompt(text, sitting.prompt.id, sitting.prompt.category),
                    model=setting.label,
                    seed=seed,
                    problem=own.problem,
                )
                seen.append(Seen(picture, image))
                abouts.append(own.about)
        rows, made = judge_rows(self.judges, seen, self.plan.out)
        for each, about, row in zip(seen, abouts, rows, strict=True):
            if each.image is not None:
                self._save(each.picture, each.image, about, row)
        for sitting in shard.items:
            self._save_metadata(
                sitting, drawn[sitting].about.get("scored_text", sitting.prompt.text)
            )
        write_part(shard.file, rows, made, circular=circular)

    def _nothing(self, error: ClipcondError) -> Drawn:
        return Drawn([None] * len(self.plan.seeds), {}, first_line(error))

    def _circular(self, pipe: Any) -> list[str]:
        """Judges whose text tower also conditions the pictures."""
        scorers = {name: clip_of(judge) for name, judge in self.judges.items()}
        return [n for n, scorer in scorers.items() if scorer and is_circular(pipe, scorer)]

    @contextmanager
    def _set_up(self, setting: Setting) -> Iterator[Any]:
        """The setting's pipeline, silent and with its scheduler, and afterwards as it was.

        Raises:
            ClipcondError: the model does not load, or there is no such scheduler.
        """
        pipe = self._pipe(setting.model)
        own, config = pipe.scheduler, dict(getattr(pipe, "_progress_bar_config", {}))
        if setting.scheduler is not None:
            pipe.scheduler = _scheduler(setting.scheduler, own)
        pipe.set_progress_bar_config(**{**config, "disable": True})  # the work has a bar
        try:
            yield pipe
        finally:
            pipe.scheduler = own
            pipe.set_progress_bar_config(**config)

    def _pipe(self, model: Any) -> Any:
        """A model's pipeline, loaded unless it was the last one.

        Raises:
            ClipcondError: it does not load; asked again, it is not tried again.
        """
        if not isinstance(model, str | Path):
            return model
        key = str(model)
        if key in self._failed:
            raise ClipcondError(self._failed[key])
        if key not in self._pipes:
            self._pipes.clear()  # first, since two may not fit
            if multiprocessing.parent_process() is not None:  # its bars would tear the work's
                for library in (diffusers, transformers):
                    cast("Any", library.utils.logging).disable_progress_bar()
            try:
                self._pipes[key] = load_pipeline(
                    model, device=pick_device(self.plan.device), dtype=self.plan.dtype
                )
            except ClipcondError as error:
                self._failed[key] = first_line(error)
                raise
        return self._pipes[key]

    def _drawn(
        self, pipe: Any, setting: Setting, sittings: Sequence[Sitting]
    ) -> dict[Sitting, Drawn]:
        """Every prompt's pictures; prompts of as many windows share calls, so that none is filled up for another."""
        model = setting.model
        setting = setting.at_best(shipped=isinstance(model, str | Path) and is_emoji(locate(model)))
        conditioner = Conditioner.from_pipeline(pipe, **setting.conditioner_options)
        found: dict[Sitting, Drawn] = {}
        alike: dict[tuple[int, ...], list[Sitting]] = {}
        for sitting in sittings:
            try:
                shape = shape_of(conditioner, _text(setting, sitting))
                alike.setdefault(shape, []).append(sitting)
            except ClipcondError as error:
                found[sitting] = self._nothing(error)
        together = max(1, self.plan.batch_size // len(self.plan.seeds))
        for same in alike.values():
            for some in batched(same, together):
                found |= self._of_one_call(pipe, conditioner, setting, some)
        return found

    def _of_one_call(
        self, pipe: Any, conditioner: Conditioner, setting: Setting, some: Sequence[Sitting]
    ) -> dict[Sitting, Drawn]:
        """The pictures of prompts that go together, unless one of them is refused."""
        texts = [_text(setting, sitting) for sitting in some]
        negative, steps = setting.negative, looks(pipe, setting.pipe_kwargs)
        seeds = list(self.plan.seeds)
        try:
            conditioning = conditioner(texts, negative_prompt=negative, steps=steps)
        except ClipcondError as error:
            if len(some) == 1:
                return {some[0]: self._nothing(error)}
            alone = [self._of_one_call(pipe, conditioner, setting, [each]) for each in some]
            return {sitting: drawn for each in alone for sitting, drawn in each.items()}
        with conditioning.attached(pipe):
            images = draw(
                pipe,
                lambda part: conditioning.kwargs_for(
                    pipe, num_images_per_prompt=len(seeds[part]) if len(some) == 1 else len(seeds)
                ),
                seeds * len(some),
                batch_size=self.plan.batch_size if len(some) == 1 else len(seeds) * len(some),
                **setting.pipe_kwargs,
            )
        return {
            sitting: Drawn(
                images[i * len(seeds) : (i + 1) * len(seeds)],
                _about(pipe, conditioner, setting, sitting),
            )
            for i, sitting in enumerate(some)
        }

    def _save(self, picture: Picture, image: Image.Image, about: dict[str, Any], row: Row) -> None:
        scores = {name: row[name] for name in self.judges}
        info = png_info(about, seed=picture.seed or 0, scored={"scores": scores}, size=image.size)
        picture.file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(picture.file, lambda path: image.save(path, "PNG", pnginfo=info))

    def _save_metadata(self, sitting: Sitting, plain_prompt: str) -> None:
        """GenEval's own line, or one like it with the prompt as it is scored."""
        prompt = sitting.prompt
        folder = self.plan.file(sitting, 0).parent.parent
        plain = {"tag": prompt.category, "include": [], "prompt": plain_prompt}
        text = prompt.about or json.dumps(plain, ensure_ascii=False)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "metadata.jsonl", lambda path: path.write_text(text, encoding="utf-8"))


def _text(setting: Setting, sitting: Sitting) -> str:
    """What is drawn."""
    return setting.template.replace(PROMPT, sitting.prompt.text)


def _about(
    pipe: Any, conditioner: Conditioner, setting: Setting, sitting: Sitting
) -> dict[str, Any]:
    """What pictures of a prompt say about themselves."""
    text, steps = _text(setting, sitting), looks(pipe, setting.pipe_kwargs)
    known = {"steps": steps} if steps else {}
    return {
        "prompt": text,
        "negative_prompt": setting.negative,
        "scored_text": plain_text(sitting.prompt.text, setting.dialect, **known),
        "setting": setting.label,
        **conditions(pipe, conditioner, text, setting.negative, **setting.pipe_kwargs),
    }


def _scheduler(name: str, own: Any) -> Any:
    """A scheduler of diffusers' with the configuration of a pipeline's own.

    Raises:
        ClipcondError: there is none of that name.
    """
    kind = getattr(diffusers, name, None)
    if not isinstance(kind, type) or not issubclass(kind, diffusers.SchedulerMixin):
        raise ClipcondError(
            f"scheduler: diffusers has no {name!r}; name a class such as DPMSolverMultistepScheduler"
        )
    return kind.from_config(own.config)  # type: ignore[no-untyped-call]  # as diffusers has it
