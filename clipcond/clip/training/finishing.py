"""The end of a training: old and new weights mixed where that was asked for, measured, and written as a CLIP folder."""

import shutil
from collections.abc import Callable
from pathlib import Path

from clipcond.clip.checkpoints.export import check_openclip, save_clip
from clipcond.clip.towers import Clip
from clipcond.clip.training.building import trained
from clipcond.clip.training.evaluation import Evaluation
from clipcond.clip.training.interpolation import Interpolated, sweep, wise_ft
from clipcond.clip.training.settings import LAYOUTS, Settings
from clipcond.clip.training.towers import Towers
from clipcond.errors import ClipcondError
from clipcond.files import State

ALPHAS = tuple(i / 10 for i in range(11))


def mix(
    clip: Clip, towers: Towers, before: State, evaluate: Callable[[Clip], Evaluation]
) -> tuple[Interpolated[Evaluation], ...]:
    """Leave towers with the mixture of their weights before and now that is best on the held-out pictures (WiSE-FT).

    Best by zero-shot accuracy where classes are known, otherwise by the mean of both ways' R@1; of equals, the one nearest to
    the new weights.

    Returns:
        What each share of the new weights comes to.
    """
    model = towers.model
    after = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    rows = sweep(
        model, before, after, alphas=ALPHAS, evaluate=lambda: evaluate(trained(clip, towers))
    )
    best = max(rows, key=lambda row: (_worth(row.result), row.alpha))
    model.load_state_dict(wise_ft(before, after, best.alpha))
    return rows


def _worth(found: Evaluation) -> float:
    if found.zero_shot:
        return found.zero_shot[1]
    return (found.image_to_text[1] + found.text_to_image[1]) / 2


def write(clip: Clip, out: Path, layout: str) -> None:
    """Write a CLIP's files into a folder that holds a training, each whole or as it was.

    Raises:
        CheckpointError: the layout has no place for this CLIP, or the disk refuses.
    """
    fresh = out / ".clip"
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        save_clip(clip, fresh, layout=LAYOUTS[layout])
        # what says that there is a CLIP comes last
        for file in sorted(fresh.iterdir(), key=lambda f: (f.suffix == ".json", f.name)):
            file.replace(out / file.name)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def check_layout(asked: str | None, clip: Clip, settings: Settings) -> str:
    """The layout that a training's CLIP is to be written in: as asked, or "hf" where that has a place for all of it.

    Raises:
        ClipcondError: it has none in the layout that was asked for.
        CheckpointError: OpenCLIP's configuration cannot say what this CLIP is.
    """
    biased = settings.loss == "sigmoid" or clip.logit_bias is not None
    plain = not clip.architecture.is_resnet and (clip.architecture.kind == "siglip" or not biased)
    if asked == "hf" and not plain:
        what = "a ResNet tower" if clip.architecture.is_resnet else "a CLIP's logit bias"
        raise ClipcondError(f"layout 'hf': transformers has no place for {what}; write 'openclip'")
    layout = asked or ("hf" if plain else "openclip")
    if layout == "openclip":
        check_openclip(clip)
    return layout
