"""What a training changes: the towers as the settings want them trained, their optimiser, their average."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from clipcond.clip.towers import Clip
from clipcond.clip.training import adapters, norms, parameters
from clipcond.clip.training.settings import Settings
from clipcond.clip.training.towers import Towers
from clipcond.errors import ClipcondError

BETAS, EPS = (0.9, 0.98), 1e-6  # Radford et al. 2021, table 20: those of its ViTs
SIGMOID_SCALE, SIGMOID_BIAS = math.log(10), -10.0  # Zhai et al. 2023, section 3.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Modules:
    """What accelerate has prepared, and what is behind it.

    Attributes:
        towers: the module itself, whose weights are the CLIP's.
        model: the same as it is called: wrapped for several processes.
        optimizer: of the weights and of the extra objective's.
        extra: the objective beside the contrastive one, or None.
        average: of the weights, or None.
        adapted: whether adapters are trained in place of the weights.
    """

    towers: Towers
    model: nn.Module
    optimizer: Any
    extra: nn.Module | None
    average: AveragedModel | None
    adapted: bool

    def averaged(self) -> None:
        """Let the average take a step's weights in."""
        if self.average is not None:
            self.average.update_parameters(self.towers)

    @contextmanager
    def evaluating(self) -> Iterator[Towers]:
        """The towers that the training would end with now, in eval mode."""
        best = self._best()
        best.eval()
        try:
            yield best
        finally:
            self.towers.train()

    def final(self) -> Towers:
        """The trained towers, in eval mode, adapters merged into their weights."""
        best = self._best()
        if self.adapted:
            adapters.merge(best)
        return best.eval()

    def _best(self) -> Towers:
        return self.towers if self.average is None else cast("Towers", self.average.module)


def prepare_modules(
    clip: Clip, settings: Settings, accelerator: Any, extra: nn.Module | None
) -> Modules:
    """Make a CLIP's towers trainable as the settings say, and hand them to accelerate."""
    towers = _towers(clip, settings, accelerator.device)
    groups = parameters.groups(
        towers,
        rate=float(settings.rate),
        weight_decay=float(settings.weight_decay),
        layer_decay=float(settings.layer_decay),
    )
    if extra is not None:
        groups.append({"params": list(extra.parameters()), "weight_decay": 0.0, "scale": 1.0})
    optimizer = torch.optim.AdamW(groups, lr=settings.rate, betas=BETAS, eps=EPS, fused=True)
    average = None
    if settings.ema is not None:
        averaging = get_ema_multi_avg_fn(settings.ema)  # type: ignore[no-untyped-call]
        average = AveragedModel(towers, multi_avg_fn=averaging)
        average.to(accelerator.device)
        accelerator.register_for_checkpointing(average)
    with warnings.catch_warnings():
        # torch 2.13 gave the option another name, which accelerate does not know
        warnings.filterwarnings("ignore", message=".*broadcast_buffers.*", category=FutureWarning)
        model, optimizer = accelerator.prepare(towers, optimizer)
        if extra is not None:
            extra = accelerator.prepare(extra)
    return Modules(
        towers=towers,
        model=model,
        optimizer=optimizer,
        extra=extra,
        average=average,
        adapted=settings.lora is not None,
    )


def _towers(clip: Clip, settings: Settings, device: torch.device) -> Towers:
    """With what is to be trained marked, before an optimiser looks."""
    model = clip.model
    bias = clip.logit_bias
    if settings.loss == "sigmoid" and bias is None:
        bias = SIGMOID_BIAS
        model.logit_scale.data.fill_(SIGMOID_SCALE)
    towers = Towers(clip, bias=None if hasattr(model, "logit_bias") else bias)
    if settings.loss != "sigmoid" and towers.logit_bias is not None:
        towers.logit_bias.requires_grad_(False)  # noqa: FBT003 as torch has it
    norms.synchronise(towers)
    if settings.checkpointing:
        _checkpoint(clip)
    if device.type == "cpu" and not clip.architecture.is_resnet:
        model.set_attn_implementation("eager")  # its backward takes half the time of sdpa's there
    towers.train()
    if settings.lock is not None:
        parameters.lock(towers, settings.lock)
    if settings.lora is not None:
        adapters.add_lora(towers, settings.lora)
    if settings.compile:
        towers.compile()
    return towers


def _checkpoint(clip: Clip) -> None:
    if clip.architecture.is_resnet:
        raise ClipcondError(
            f"{clip.name}: a ResNet tower keeps its activations; leave --checkpointing out and name a smaller --chunk"
        )
    # transformers 5.23 gave it another name
    names = ("activation_checkpointing_enable", "gradient_checkpointing_enable")
    next(getattr(clip.model, name) for name in names if hasattr(clip.model, name))()
