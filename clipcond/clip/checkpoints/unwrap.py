"""A CLIP's tensors out of whatever a training script saved them in.

Scripts wrap a model's state dict in others (`state_dict`, `model_state_dict`, `model`), beside an epoch, an optimizer and an
average of the weights; Lightning and hand-written modules put an attribute's name before every tensor's (`model.`, `clip.`);
DDP, FSDP and torch.compile put theirs between. To the tensors all of it is a prefix, and the CLIP is what follows one.
"""

import re
from collections.abc import Sequence

from clipcond.errors import CheckpointError
from clipcond.files import State, some

# the first part of every tensor's name in one of the layouts
_ROOTS = {
    "visual", "text", "transformer", "token_embedding", "positional_embedding", "ln_final", "text_projection",
    "vision_model", "text_model", "visual_projection", "logit_scale", "logit_bias",
    "input_resolution", "context_length", "vocab_size",
}  # fmt: skip
_TOWERS = ({"visual", "vision_model"}, {"text", "transformer", "token_embedding", "text_model"})
_IN_BETWEEN = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_AVERAGE = re.compile(r"(?:^|[._])(?:ema|swa|averaged?)(?:$|[._])", re.IGNORECASE)
_TRAINING = re.compile(r"optim|sched|scaler|callback|loop|rng", re.IGNORECASE)


def unwrap(tensors: State, source: str) -> tuple[State, tuple[str, ...]]:
    """The CLIP in a file's tensors, and a line for what was left out.

    Of several, as a model beside its average, the first that is no average is taken.

    Args:
        tensors: by dotted name, containers' keys included.
        source: the file's name, for errors.

    Raises:
        CheckpointError: two tensors have one name but for a wrapper's.
    """
    plain: State = {}
    for name, tensor in tensors.items():
        inner = ".".join(part for part in name.split(".") if part not in _IN_BETWEEN)
        if inner in plain:
            raise CheckpointError(
                f"{source}: holds {inner} twice, in and out of a wrapper; save the state dict of the model alone"
            )
        plain[inner] = tensor
    prefixes = _prefixes(list(plain))
    if not prefixes:
        return plain, ()
    chosen = min(prefixes, key=lambda prefix: bool(_AVERAGE.search(prefix)))
    others = tuple(prefix for prefix in prefixes if not chosen.startswith(prefix))
    inside = {
        name[len(chosen) :]: tensor
        for name, tensor in plain.items()
        if name.startswith(chosen) and not name.startswith(others)
    }
    left = [
        name
        for name in plain
        if not name.startswith((chosen, *others)) and not _TRAINING.search(name)
    ]
    told = [repr(prefix.rstrip(".")) for prefix in others] + left
    where = f"under {chosen.rstrip('.')!r}" if chosen else "at the top"
    return inside, (f"the weights {where}, and not {some(told)}",) if told else ()


def _prefixes(names: Sequence[str]) -> list[str]:
    """What stands before both towers of a model; before one where nothing stands before both."""
    towers: dict[str, set[int]] = {}
    for name in names:
        parts = name.split(".")
        at = next((i for i, part in enumerate(parts) if part in _ROOTS), None)
        if at is not None:
            kinds = {i for i, tower in enumerate(_TOWERS) if parts[at] in tower}
            towers.setdefault("".join(f"{part}." for part in parts[:at]), set()).update(kinds)
    full = [prefix for prefix, kinds in towers.items() if len(kinds) == len(_TOWERS)]
    return full or [prefix for prefix, kinds in towers.items() if kinds]
