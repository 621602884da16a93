"""How well a CLIP does on pictures that it was not trained on: retrieval both ways, and zero-shot.

Each process encodes its share and all know all features afterwards. A process takes whole blocks, the same at every world size,
so that the numbers are the same as well.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from clipcond.clip.towers import Clip
from clipcond.clip.training.distributed import world
from clipcond.clip.training.recall import shares, wrong_before
from clipcond.errors import ClipcondError

TEMPLATES = ("a photo of a {}",)
RECALLS = (1, 5, 10)
_TOPS = (1, 5)


@runtime_checkable
class Pictures(Protocol):
    """Prepared pictures by number, read when they are asked for; picklable where workers read them."""

    def __getitem__(self, number: int, /) -> torch.Tensor | None:
        """Pixels [3, height, width]; None of a picture that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What a CLIP is evaluated on, a row a picture: who has a picture in several rows joins their captions.

    Attributes:
        pictures: of every row.
        captions: one or more of every row.
        labels: the class of every row, or None; empty where no classes are known.
    """

    pictures: Pictures
    captions: Sequence[Sequence[str]]
    labels: Sequence[str | None] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Shares between 0 and 1.

    Attributes:
        pictures: that were compared.
        unread: that could not be read and are left out.
        texts: distinct captions that were compared.
        image_to_text: of each k, the share of pictures with one of their captions among the k nearest.
        text_to_image: of each k, the share of captions with one of their pictures among the k nearest.
        classes: that zero-shot chose among, or 0.
        labelled: pictures whose class is known.
        zero_shot: of 1 and 5, the share of those whose class is among so many nearest; empty where no class is known.
    """

    pictures: int
    unread: int
    texts: int
    image_to_text: dict[int, float]
    text_to_image: dict[int, float]
    classes: int
    labelled: int
    zero_shot: dict[int, float]

    def as_dict(self) -> dict[str, int | float]:
        """A number a name, for a log."""
        return {
            "pictures": self.pictures,
            "unread": self.unread,
            "texts": self.texts,
            **{f"image_to_text_r{k}": share for k, share in self.image_to_text.items()},
            **{f"text_to_image_r{k}": share for k, share in self.text_to_image.items()},
            "classes": self.classes,
            "labelled": self.labelled,
            **{f"zero_shot_top{k}": share for k, share in self.zero_shot.items()},
        }

    def __str__(self) -> str:
        """One line, in percent."""
        parts = [
            f"image to text R@{_slashed(self.image_to_text)}",
            f"text to image R@{_slashed(self.text_to_image)}",
        ]
        if self.zero_shot:
            parts.append(f"zero-shot top {_slashed(self.zero_shot)} of {self.classes} classes")
        unread = f" ({self.unread} unread)" if self.unread else ""
        return f"{', '.join(parts)} on {self.pictures} pictures{unread} and {self.texts} texts"


def evaluate(
    clip: Clip,
    held: HeldOut,
    *,
    classes: Sequence[str] | None = None,
    templates: Sequence[str] = TEMPLATES,
    batch: int = 256,
    workers: int = 0,
) -> Evaluation:
    """Retrieval over all held-out pictures and captions, and zero-shot over classes where labels are known.

    The same caption of two pictures is one text with two right pictures. Ties count against the CLIP. The towers are in eval mode
    meanwhile and as they were afterwards, and torch's random numbers are left alone.

    Args:
        clip: whose towers are compared; every process of torch.distributed has the same.
        held: pictures and captions, the same in every process.
        classes: names to choose among; None for the labels that there are.
        templates: sentences with {} for a class's name; their unit features are averaged.
        batch: pictures or texts a forward.
        workers: processes that read pictures; 0 for this one.

    Raises:
        ClipcondError: no picture could be read, a row has no caption, a label is none of `classes`, or a template is
            without {}.
    """
    _check(held, classes, templates)
    with _still(clip.model), torch.no_grad():
        image, read = _pictures(clip, held, batch, workers)
        if not read.any():
            raise ClipcondError(
                f"held-out part: none of its {len(held.captions)} pictures could be read"
            )
        rows = read.nonzero().flatten().tolist()
        image = image[read.to(image.device)]
        texts = list(dict.fromkeys(caption for i in rows for caption in held.captions[i]))
        text = _texts(clip, texts, batch)
        place = {caption: i for i, caption in enumerate(texts)}
        pairs = [(n, place[c]) for n, i in enumerate(rows) for c in set(held.captions[i])]
        right = torch.tensor(pairs, device=image.device)
        labels = [held.labels[i] for i in rows] if held.labels else []
        names = sorted({x for x in labels if x is not None}) if classes is None else classes
        zero_shot = _zero_shot(image, labels, names, _heads(clip, names, templates, batch))
    return Evaluation(
        pictures=len(rows),
        unread=len(held.captions) - len(rows),
        texts=len(texts),
        image_to_text=shares(wrong_before(image, text, right), RECALLS),
        text_to_image=shares(wrong_before(text, image, right.flip(1)), RECALLS),
        classes=len(names) if zero_shot else 0,
        labelled=sum(label is not None for label in labels),
        zero_shot=zero_shot,
    )


def _check(held: HeldOut, classes: Sequence[str] | None, templates: Sequence[str]) -> None:
    for i, captions in enumerate(held.captions):
        if not captions:
            raise ClipcondError(f"held-out part: row {i} has no caption; leave it out")
    if held.labels and len(held.labels) != len(held.captions):
        raise ClipcondError(
            f"held-out part: {len(held.labels)} labels for {len(held.captions)} pictures; each has one, or None"
        )
    for template in templates:
        if "{}" not in template:
            raise ClipcondError(f"template: {template!r} has no {{}} for the name of a class")
    if classes is not None:
        for label in dict.fromkeys(held.labels):
            if label is not None and label not in classes:
                raise ClipcondError(f"held-out part: the label {label!r} is none of the classes")


@contextmanager
def _still(model: nn.Module) -> Iterator[None]:
    """In eval mode; afterwards every part in the mode that it had."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _pictures(
    clip: Clip, held: HeldOut, batch: int, workers: int
) -> tuple[Float[torch.Tensor, "n dim"], Bool[torch.Tensor, " n"]]:
    """Unit features of all pictures, zeros where one could not be read, and which could."""
    count = len(held.captions)
    blocks = _own_blocks(count, batch)
    # a generator of its own: the loader would draw from torch's, and what is random in training would depend on it
    loader: DataLoader[Any] = DataLoader(
        held.pictures,  # type: ignore[arg-type]  # anything with numbers, as torch has it
        batch_sampler=blocks,
        num_workers=workers,
        collate_fn=_collated,
        generator=torch.Generator(),
    )
    features = torch.zeros(count, clip.architecture.dim, device=clip.model.device)
    read = torch.zeros(count, dtype=torch.int64, device=clip.model.device)
    shown = tqdm(
        loader,
        desc="measuring",
        unit=" batches",
        total=len(blocks),
        leave=False,
        file=sys.stderr,
        disable=None if world()[0] == 0 else True,
    )
    for block, (pixels, good) in zip(blocks, shown, strict=True):
        rows = torch.tensor(block)[good]
        if len(rows):
            moved = pixels.to(clip.model.device, clip.model.dtype)
            found = clip.model.get_image_features(pixel_values=moved).pooler_output
            features[rows] = F.normalize(found.float(), dim=-1)
            read[rows] = 1
    return _summed(features), _summed(read).bool().cpu()


def _collated(
    pictures: list[torch.Tensor | None],
) -> tuple[Float[torch.Tensor, "k ..."], Bool[torch.Tensor, " n"]]:
    found = [picture for picture in pictures if picture is not None]
    good = torch.tensor([picture is not None for picture in pictures])
    return torch.stack(found) if found else torch.zeros(0), good


def _texts(clip: Clip, texts: Sequence[str], batch: int) -> Float[torch.Tensor, "m dim"]:
    features = torch.zeros(len(texts), clip.architecture.dim, device=clip.model.device)
    for block in _own_blocks(len(texts), batch):
        found = clip.encode_texts([texts[i] for i in block]).features
        features[block] = F.normalize(found.float(), dim=-1)
    return _summed(features)


def _heads(
    clip: Clip, names: Sequence[str], templates: Sequence[str], batch: int
) -> Float[torch.Tensor, "classes dim"]:
    """A vector a class: the mean of its sentences' unit features, made unit again."""
    prompts = [template.replace("{}", name) for name in names for template in templates]
    units = _texts(clip, prompts, batch).reshape(len(names), len(templates), clip.architecture.dim)
    return F.normalize(units.mean(dim=1), dim=-1)


def _zero_shot(
    image: Float[torch.Tensor, "n dim"],
    labels: Sequence[str | None],
    names: Sequence[str],
    heads: Float[torch.Tensor, "classes dim"],
) -> dict[int, float]:
    """How often the right class is among the nearest."""
    known = [(i, names.index(label)) for i, label in enumerate(labels) if label is not None]
    if not known:
        return {}
    pairs: Int64[torch.Tensor, "labelled 2"] = torch.tensor(
        [(n, own) for n, (_, own) in enumerate(known)], device=image.device
    )
    return shares(wrong_before(image[[i for i, _ in known]], heads, pairs), _TOPS)


def _own_blocks(count: int, size: int) -> list[list[int]]:
    """Every world_size-th block of consecutive numbers."""
    rank, processes = world()
    starts = range(0, count, size)[rank::processes]
    return [list(range(start, min(start + size, count))) for start in starts]


def _summed(own: torch.Tensor) -> torch.Tensor:
    """Over all processes; each row is zero but in one of them, so that nothing is rounded."""
    if world()[1] > 1:
        dist.all_reduce(own)
    return own


def _slashed(shares_of: dict[int, float]) -> str:
    percents = " / ".join(f"{100 * share:.1f}" for share in shares_of.values())
    return f"{'/'.join(map(str, shares_of))} {percents} %"
