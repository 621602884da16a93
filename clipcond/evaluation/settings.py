"""What is to be compared: models with their settings, written out one by one or as lists of which all combinations are tried."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Any

from clipcond import emoji
from clipcond.errors import ClipcondError

PROMPT = "{prompt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One way of drawing.

    Attributes:
        name: what tables call it; "" makes one of what it says.
        model: "emoji", a diffusers folder or a hub id; or a pipeline of yours, for work in this process.
        steps: None: the model's own.
        guidance_scale: None: the model's own.
        negative: what to steer away from.
        template: what stands around each prompt, as "a photo of {prompt}"; it is drawn, not scored.
        scheduler: a class of diffusers', such as "DPMSolverMultistepScheduler"; None: the model's own.
        height: in pixels; None: the model's own.
        width: in pixels; None: the model's own.
        dialect: that prompts are written in.
        weighting: what weights do.
        long_prompt: what happens beyond the encoder's length.
        clip_skip: CLIP layers to leave out.

    Raises:
        ClipcondError: a value of the wrong kind, or a template without {prompt}.
    """

    name: str = ""
    model: Any = "emoji"
    steps: int | None = None
    guidance_scale: int | float | None = None
    negative: str | None = None
    template: str = PROMPT
    scheduler: str | None = None
    height: int | None = None
    width: int | None = None
    dialect: str = "a1111"
    weighting: str = "comfy"
    long_prompt: str = "a1111"
    clip_skip: int | float | None = None
    label: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("steps", "height", "width"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise ClipcondError(f"{name}: got {value!r}; needs a whole number from 1")
        if PROMPT not in self.template:
            raise ClipcondError(f"template: got {self.template!r}; needs {PROMPT} in it")
        object.__setattr__(self, "label", self.name or self._described())

    def _described(self) -> str:
        said = [self.model_name]
        said += [f"{self.steps} steps"] if self.steps is not None else []
        said += [f"guidance {self.guidance_scale:g}"] if self.guidance_scale is not None else []
        for each in fields(self):
            if each.init and each.name not in ("name", "model", "steps", "guidance_scale"):
                value = getattr(self, each.name)
                said += [f"{each.name.replace('_', ' ')} {value}"] if value != each.default else []
        return ", ".join(said)

    @property
    def model_name(self) -> str:
        """The model in a word."""
        if not isinstance(self.model, str | Path):
            return str(getattr(self.model, "name_or_path", "") or type(self.model).__name__)
        return Path(self.model).name if Path(self.model).exists() else str(self.model)

    @property
    def pipe_kwargs(self) -> dict[str, Any]:
        """For the pipeline's call."""
        own = {
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance_scale,
            "height": self.height,
            "width": self.width,
        }
        return {name: value for name, value in own.items() if value is not None}

    @property
    def conditioner_options(self) -> dict[str, Any]:
        """For `Conditioner.from_pipeline`."""
        names = ("dialect", "weighting", "long_prompt", "clip_skip")
        return {name: getattr(self, name) for name in names}

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        return own | {"name": self.label, "model": self.model_name}

    def at_best(self, *, shipped: bool) -> "Setting":
        """With the steps and guidance that the shipped model was tuned for, where it is that one and nothing is said."""
        if not shipped:
            return self
        own = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        own["steps"] = own["steps"] or emoji.DEFAULT_STEPS
        if own["guidance_scale"] is None:
            own["guidance_scale"] = emoji.DEFAULT_GUIDANCE_SCALE
        return Setting(**own | {"name": self.label})


def combinations(values: Mapping[str, Any], where: str) -> list[Setting]:
    """All settings that a table of values describes: of lists each value in turn.

    Args:
        values: of `Setting`'s fields, each one value or a list.
        where: they are written, for messages.

    Raises:
        ClipcondError: a field that there is not, or a value that it cannot have.
    """
    known = [each.name for each in fields(Setting) if each.init]
    for name in values:
        if name not in known:
            raise ClipcondError(f"{where}: {name!r} is no setting; choose among {', '.join(known)}")
    lists = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    several = [name for name, value in lists.items() if len(value) > 1]
    found = []
    for chosen in product(*lists.values()):
        own = dict(zip(lists, chosen, strict=True))
        if own.get("name") and several:  # a name of all of them
            own["name"] += "".join(f", {name.replace('_', ' ')} {own[name]}" for name in several)
        try:
            found.append(Setting(**own))
        except (ClipcondError, TypeError, ValueError) as error:
            raise ClipcondError(f"{where}: {error}") from error
    return found


def require_distinct(settings: Sequence[Setting]) -> None:
    """Refuse two settings of one name.

    Raises:
        ClipcondError: there are; the message says which.
    """
    labels = [setting.label for setting in settings]
    for label in labels:
        if labels.count(label) > 1:
            raise ClipcondError(
                f"{labels.count(label)} models are called {label!r}; give each a name of its own"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a TOML file asks for; what it leaves out is None."""

    settings: tuple[Setting, ...]
    prompts: tuple[str, ...] | None
    seeds: int | None
    first_seed: int | None
    scorers: tuple[str, ...] | None


def read_spec(file: Path) -> Spec:
    """Read what is to be run.

    The file has a table [[models]] for each model, with fields of `Setting`, and may have prompts, seeds, first_seed and
    scorers; paths of models and prompts are relative to it.

    Raises:
        ClipcondError: it cannot be read, or says what there is not.
    """
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ClipcondError(f"{file}: no such file; check the path") from None
    except (OSError, ValueError) as error:
        raise ClipcondError(f"{file}: not readable as TOML ({error})") from error
    known = ("models", "prompts", "seeds", "first_seed", "scorers")
    for name in content:
        if name not in known:
            raise ClipcondError(f"{file}: {name!r} is not known; it may say {', '.join(known)}")
    models = content.get("models")
    if not isinstance(models, list) or not all(isinstance(each, dict) for each in models):
        raise ClipcondError(f"{file}: has no [[models]]; write one for each model")
    settings = [
        setting
        for number, values in enumerate(models, start=1)
        for setting in combinations(_located(values, file), f"{file}: model {number}")
    ]
    prompts, scorers = (_texts(content, name, file) for name in ("prompts", "scorers"))
    return Spec(
        settings=tuple(settings),
        prompts=prompts and tuple(_beside(file, each) for each in prompts),
        seeds=_whole(content, "seeds", file),
        first_seed=_whole(content, "first_seed", file),
        scorers=scorers,
    )


def _located(values: Mapping[str, Any], file: Path) -> dict[str, Any]:
    model = values.get("model")
    return dict(values) | ({"model": _beside(file, model)} if isinstance(model, str) else {})


def _beside(file: Path, name: str) -> str:
    """A path as from where the file is, if there is such a one."""
    beside = file.parent / name
    return str(beside) if beside.exists() else name


def _texts(content: Mapping[str, Any], name: str, file: Path) -> tuple[str, ...] | None:
    value = content.get(name)
    listed = [value] if isinstance(value, str) else value
    if listed is None:
        return None
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise ClipcondError(f"{file}: {name} is {value!r}; write a text or a list of texts")
    return tuple(listed)


def _whole(content: Mapping[str, Any], name: str, file: Path) -> int | None:
    value = content.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise ClipcondError(f"{file}: {name} is {value!r}; write a whole number")
    return value
