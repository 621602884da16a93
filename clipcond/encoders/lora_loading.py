"""The LoRAs that a prompt names, on a pipeline for a while: `<lora:ink:0.8>` as AUTOMATIC1111's web UI means it.

Loading is diffusers' own. What loading does to a pipeline, and what its own `unload_lora_weights` leaves there, is undone:
wrapped layers, active adapters, scales, which parameters want gradients.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from clipcond.encoders.lora_scale import lora_layers
from clipcond.errors import CheckpointError, ClipcondError, LoraWarning, PromptSyntaxError
from clipcond.prompt import Lora, Prompt, parse

_SUFFIX = ".safetensors"
_BUNDLED = "bundle_emb."
# what loading sets on a model
_ATTRIBUTES = ("peft_config", "_hf_peft_config_loaded", "_weight_conversions")


@contextmanager
def apply_loras(
    pipe: Any, prompt: str | Prompt | Sequence[str | Prompt], *, folder: str | Path
) -> Iterator[None]:
    """Put the LoRAs that a prompt names on a pipeline, beside those it has, and take them off again.

    The first weight of a tag is the text encoders', the second one the denoiser's. A LoRA that is named twice has the sum
    of its weights. The pipeline is changed for whoever uses it meanwhile, other threads included.

    Args:
        pipe: a diffusers pipeline that can load LoRAs.
        prompt: one, or those of one batch, which name the same LoRAs; a str is read in the dialect "a1111".
        folder: where <name>.safetensors is, itself or a folder below it; a name may say which, as in <lora:xl/ink:1>.

    Raises:
        PromptSyntaxError: a LoRA that is not there, is there twice, or would lie outside of the folder.
        CheckpointError: a file that is damaged, or fits nothing of the pipeline.
        ClipcondError: prompts of one batch that name other LoRAs, or a pipeline that cannot load any now.

    Warns:
        LoraWarning: a file brings textual inversions along, which are not read from it here.
    """
    wanted = _wanted(prompt, Path(folder))
    if not wanted:
        yield
        return
    _check_pipeline(pipe)
    parts = {n: m for n, m in pipe.components.items() if isinstance(m, torch.nn.Module)}
    before = {name: _Before.of(part) for name, part in parts.items()}
    names: dict[str, tuple[float, float]] = {}
    try:
        for file, weights in wanted.items():
            name = _free_name(pipe, file)
            names[name] = weights
            _load(pipe, file, name)
        for slot, part in parts.items():
            before[slot].join(
                part, {n: w[not slot.startswith("text_encoder")] for n, w in names.items()}
            )
        yield
    finally:
        for slot, part in parts.items():
            before[slot].put_back(part, list(names))


def _wanted(
    prompt: str | Prompt | Sequence[str | Prompt], folder: Path
) -> dict[Path, tuple[float, float]]:
    """File -> the weights for the text encoders and for the denoiser."""
    given = [prompt] if isinstance(prompt, (str, Prompt)) else prompt
    prompts = [parse(p) if isinstance(p, str) else p for p in given]
    if not any(p.loras for p in prompts):
        return {}
    if not folder.is_dir():
        raise ClipcondError(f"{folder} is no folder to look for LoRAs in")
    there = {file: file.relative_to(folder).with_suffix("") for file in folder.rglob(f"*{_SUFFIX}")}
    named = [_weights(p, there, folder) for p in prompts]
    for other, found in zip(prompts[1:], named[1:], strict=True):
        if found != named[0]:
            raise ClipcondError(
                f"prompts of one batch name other LoRAs, which act on all of it: {prompts[0].text!r} and {other.text!r}; "
                "encode and draw them in calls of their own"
            )
    return named[0]


def _weights(
    prompt: Prompt, there: dict[Path, Path], folder: Path
) -> dict[Path, tuple[float, float]]:
    found: dict[Path, tuple[float, float]] = {}
    for lora in prompt.loras:
        file = _file_of(lora, prompt.text, there, folder)
        text, denoiser = found.get(file, (0.0, 0.0))
        found[file] = (text + lora.weight, denoiser + lora.unet_weight)
    return found


def _file_of(lora: Lora, text: str, there: dict[Path, Path], folder: Path) -> Path:
    """The file of a name: as a path from the folder, else anywhere below."""
    path = PurePosixPath(lora.name.replace("\\", "/").removesuffix(_SUFFIX))
    if path.is_absolute() or ".." in path.parts:
        raise PromptSyntaxError(
            f"the LoRA {lora.name!r} would lie outside of {folder}",
            text,
            lora.span,
            "name a file in it",
        )
    ends = [file for file, known in there.items() if known.parts[-len(path.parts) :] == path.parts]
    exact = [file for file in ends if there[file].parts == path.parts]
    found = exact or ends
    if len(found) == 1:
        return found[0]
    if found:
        which = " or ".join(sorted(f"<lora:{there[file].as_posix()}:1>" for file in found))
        raise PromptSyntaxError(
            f"there are {len(found)} LoRAs {lora.name!r} in {folder}",
            text,
            lora.span,
            f"write {which}",
        )
    known = sorted({name.name for name in there.values()})
    near = get_close_matches(path.name, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"it has {len(known)} LoRAs"
    raise PromptSyntaxError(f"no LoRA {lora.name!r} in {folder}", text, lora.span, hint)


def _check_pipeline(pipe: Any) -> None:
    if not hasattr(pipe, "load_lora_weights"):
        raise ClipcondError(f"{type(pipe).__name__} cannot load LoRAs, but the prompt names some")
    try:
        import peft  # noqa: F401 diffusers needs it
    except ImportError as error:
        raise ClipcondError("LoRAs need peft: pip install peft") from error


def _free_name(pipe: Any, file: Path) -> str:
    """A name for the adapter that the pipeline has not; it becomes part of a module's, which holds no dots."""
    taken = {name for names in pipe.get_list_adapters().values() for name in names}
    name = "clipcond_" + file.stem.replace(".", "_")
    while name in taken:
        name += "_"
    return name


def _load(pipe: Any, file: Path, name: str) -> None:
    try:
        state = load_file(file)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{file} is damaged, or no safetensors file") from error
    own = {key: value for key, value in state.items() if not key.startswith(_BUNDLED)}
    if len(own) < len(state):
        warnings.warn(
            f"{file} brings textual inversions along; conditioner.with_inversions(file) reads them",
            LoraWarning,
            stacklevel=4,
        )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")  # several are meant
            pipe.load_lora_weights(own, adapter_name=name)
    except Exception as error:  # the loaders raise whatever a file makes them
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise CheckpointError(f"{file} is no LoRA for {type(pipe).__name__}: {reason}") from error
    if not any(name in names for names in pipe.get_list_adapters().values()):
        raise CheckpointError(
            f"{file} is no LoRA for {type(pipe).__name__}: it has nothing for any of its parts"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Before:
    """What a model was before LoRAs were loaded.

    Attributes:
        layers: peft's layers it had -> (active adapters, whether they are off, scaling).
        wanting: each parameter, and whether it wants gradients.
        training: each module, and whether it is in training mode.
        attributes: of the model itself, those that loading sets.
    """

    layers: dict[Any, tuple[tuple[str, ...], bool, dict[str, float]]]
    wanting: list[tuple[torch.nn.Parameter, bool]]
    training: list[tuple[torch.nn.Module, bool]]
    attributes: dict[str, Any]

    @classmethod
    def of(cls, model: torch.nn.Module) -> "_Before":
        """Look at a model.

        Raises:
            ClipcondError: LoRAs are merged into its weights, where no other one would act.
        """
        layers = {
            layer: (tuple(layer.active_adapters), layer.disable_adapters, dict(layer.scaling))
            for _, layer in lora_layers(model)
        }
        if any(layer.merged for layer in layers):
            raise ClipcondError(
                f"{type(model).__name__} has a LoRA merged into its weights, beside which no other one acts; "
                "call pipe.unfuse_lora() first"
            )
        return cls(
            layers=layers,
            wanting=[(p, p.requires_grad) for p in model.parameters()],
            training=[(part, part.training) for part in model.modules()],
            attributes={n: v for n, v in vars(model).items() if n in _ATTRIBUTES},
        )

    def join(self, model: torch.nn.Module, weights: dict[str, float]) -> None:
        """Let new adapters act with these weights, beside those that acted before."""
        for _, layer in lora_layers(model):
            active, off, scaling = self.layers.get(layer, ((), False, {}))
            layer.scaling.update(scaling)  # loading scales what is active
            layer.enable_adapters(enabled=True)
            layer.set_adapter([*(() if off else active), *weights])
            for name, weight in weights.items():
                layer.set_scale(name, weight)

    def put_back(self, model: torch.nn.Module, names: list[str]) -> None:
        """Take adapters off, and their layers where there were none."""
        for path, layer in list(lora_layers(model)):
            if layer not in self.layers:
                parent, _, own = path.rpartition(".")
                setattr(model.get_submodule(parent), own, layer.get_base_layer())
                continue
            active, off, scaling = self.layers[layer]
            layer.set_adapter(list(active))
            for name in names:
                layer.delete_adapter(name)
            layer.enable_adapters(enabled=not off)
            layer.scaling.update(scaling)
        for name in _ATTRIBUTES:
            vars(model).pop(name, None)
        vars(model).update(self.attributes)
        for name in names:
            self.attributes.get("peft_config", {}).pop(name, None)
        for parameter, wants in self.wanting:
            parameter.requires_grad_(wants)
        for part, training in self.training:
            part.training = training
