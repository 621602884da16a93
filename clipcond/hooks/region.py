"""Regions: prompts for parts of a picture, as data; and how much of each place is whose."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image

from clipcond.clip.images import load_picture
from clipcond.errors import ClipcondError, ScoreError
from clipcond.files import first_line
from clipcond.tables import JSON

if TYPE_CHECKING:
    Prompt = str
    Box = Sequence[float]
    Weight = float
    PictureLike = Image.Image | np.ndarray | str | Path
    MaskLike = PictureLike | torch.Tensor
else:  # checked below, with messages of our own also where annotations are executed
    Prompt = Box = Weight = PictureLike = MaskLike = object

_WHITE = 0.5  # a mask that nowhere reaches it is empty, or of 0 and 1 where 255 is white
_HEAVIEST = 1e6  # float32 has little left for the others beyond
_NOTHING = 1e-6  # of a place: what rounding leaves of a place that is all another's
_EXCERPT = 120  # characters of an entry in a message
_KEYS = ("prompt", "box", "mask", "weight")


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A prompt for a part of the picture: inside a box, or where a mask is white.

    Attributes:
        prompt: what is there.
        box: (left, top, right, bottom) in fractions of the picture.
        mask: as given, a picture (a PIL image, a path, numpy uint8 [height, width] or with channels) or a bool or float
            0..1 torch tensor [height, width]; kept as float32 [height, width], 1 being inside. It is stretched to the
            picture; colours count by their brightness.
        weight: how much this region counts where it is, beside the base prompt and other regions.

    Raises:
        ClipcondError: not exactly one of box and mask, or one that cannot be understood.
    """

    prompt: Prompt
    _: KW_ONLY
    box: Box | None = None
    mask: MaskLike | None = field(default=None, repr=False)
    weight: Weight = 1.0

    def __post_init__(self) -> None:
        try:
            _check_kind(self)
            object.__setattr__(self, "weight", _read_weight(self.weight))
            if self.box is not None:
                object.__setattr__(self, "box", _read_box(self.box))
            if self.mask is not None:
                object.__setattr__(self, "mask", _read_mask(self.mask))
        except ClipcondError as error:
            raise ClipcondError(f"Region({_excerpt(self.prompt)}): {error}") from error


def shares(
    regions: Sequence[Region], height: int, width: int
) -> Float[torch.Tensor, "parts height width"]:
    """How much of each place is the base prompt's, then each region's; 1 together.

    A region has its weight times how much of the place is inside, by area. The base has what is left to 1. Where regions
    have more than 1 together, all are divided by that, and nothing is left. What is nobody's is exactly 0 (so is a share
    below a millionth), what is one's alone exactly 1.

    Args:
        regions: any number.
        height: of the grid, in places.
        width: of the grid, in places.
    """
    stands = [region.weight * _inside(region, height, width) for region in regions]
    base = 1 - sum(stands, torch.zeros(height, width, dtype=torch.float64))
    parts = torch.stack([base.clamp(min=0), *stands])
    parts = torch.where(parts < _NOTHING, 0, parts)
    return (parts / parts.sum(0)).float()


def _inside(region: Region, height: int, width: int) -> Float[torch.Tensor, "height width"]:
    """How much of each place is inside: what its mask's pixels cover, a box being one white pixel."""
    if region.box is not None:
        left, top, right, bottom = region.box
        white = torch.ones(1, 1, dtype=torch.float64)
        rows, columns = (
            torch.tensor(e, dtype=torch.float64) for e in ((top, bottom), (left, right))
        )
    else:
        white = torch.as_tensor(region.mask, dtype=torch.float64)
        rows, columns = (torch.arange(n + 1, dtype=torch.float64) / n for n in white.shape)
    return _covered(rows, height).T @ white @ _covered(columns, width)


def _covered(
    edges: Float[torch.Tensor, " edges"], places: int
) -> Float[torch.Tensor, "pixels places"]:
    """How much of each of so many places in a row lies between each edge and the next."""
    starts = torch.arange(places, dtype=torch.float64)
    at = edges[:, None] * places
    return (torch.minimum(at[1:], starts + 1) - torch.maximum(at[:-1], starts)).clamp(min=0)


def _check_kind(region: Region) -> None:
    if not isinstance(region.prompt, str):
        raise ClipcondError("the prompt is no text; write what is to be there")
    if (region.box is None) == (region.mask is None):
        found = "neither box nor" if region.box is None else "both box and"
        raise ClipcondError(f"has {found} mask; give one of the two")


def _read_weight(weight: Weight) -> float:
    if not (_is_number(weight) and 0 <= weight <= _HEAVIEST):
        raise ClipcondError(f"weight={_excerpt(weight)}; give a number from 0 to {_HEAVIEST:.0f}")
    return float(weight)


def _read_box(box: Box) -> Box:
    edges = tuple(box) if isinstance(box, Iterable) else ()
    if len(edges) == 4 and all(map(_is_number, edges)):
        left, top, right, bottom = edges
        if 0 <= left < right <= 1 and 0 <= top < bottom <= 1:
            return tuple(map(float, edges))
    raise ClipcondError(
        f"box={_excerpt(box)}; give (left, top, right, bottom) as fractions of the picture, "
        "0 <= left < right <= 1 and 0 <= top < bottom <= 1: pixels divided by its width and height"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _read_mask(mask: MaskLike) -> Float[torch.Tensor, "height width"]:
    white = _from_tensor(mask) if isinstance(mask, torch.Tensor) else _from_picture(mask)
    brightest = white.max().item()
    if brightest < _WHITE:
        raise ClipcondError(
            f"mask: holds no white, its brightest pixel is {brightest:.3g} of 1; make white what is inside, and "
            "give weight= to make a region count less"
        )
    return white


def _from_tensor(mask: torch.Tensor) -> Float[torch.Tensor, "height width"]:
    what = f"mask: got a torch {mask.dtype} tensor of shape {list(mask.shape)}"
    if mask.ndim != 2 or 0 in mask.shape:
        raise ClipcondError(f"{what}; pass [height, width]")
    if mask.dtype != torch.bool and not mask.dtype.is_floating_point:
        raise ClipcondError(f"{what}; pass bool, or float in 0..1")
    values = mask.detach().to("cpu", torch.float32, copy=True)
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise ClipcondError(f"{what} with values outside 0..1; 0 is outside and 1 inside")
    return values


def _from_picture(
    mask: PictureLike,
) -> Float[torch.Tensor, "height width"]:
    if isinstance(mask, np.ndarray):
        mask = _from_array(mask)
    try:
        picture = load_picture(mask)
    except ScoreError as error:
        raise ClipcondError(f"mask: {str(error).removeprefix('image: ')}") from error
    if isinstance(mask, Image.Image):
        _check_opaque(mask)
    else:
        with Image.open(mask) as opened:
            _check_opaque(opened)
    return torch.from_numpy(np.asarray(picture.convert("L"), dtype=np.float32) / 255)


def _from_array(mask: np.ndarray) -> Image.Image:
    what = f"mask: got a numpy {mask.dtype} array of shape {list(mask.shape)}"
    channels = mask.shape[2:]
    if mask.ndim < 2 or channels not in ((), (1,), (3,), (4,)) or 0 in mask.shape:
        raise ClipcondError(f"{what}; pass [height, width], or with 1, 3 or 4 channels last")
    if mask.dtype not in (np.uint8, np.bool_):
        raise ClipcondError(f"{what}; pass uint8 in 0..255, or bool")
    values = mask.astype(np.uint8) * (255 if mask.dtype == np.bool_ else 1)
    return Image.fromarray(values[..., 0] if channels == (1,) else values)


def _check_opaque(picture: Image.Image) -> None:
    """An alpha channel that is full everywhere says nothing; any other might mean inside or outside."""
    if not picture.has_transparency_data:
        return
    wide = picture.mode.startswith("I")  # sixteen bits, of which one grey is transparent
    if wide or picture.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise ClipcondError(
            "mask: is transparent in places, which says neither inside nor outside; save it without an alpha channel, "
            "white inside and black outside"
        )


def read_regions(path: Path) -> tuple[Region, ...]:
    """The regions in a JSON file: [{"prompt": "a fox", "box": [0, 0, 0.5, 1], "weight": 1}, {"prompt": "a pumpkin", "mask": "mask.png"}].

    A mask's path is seen from the file's folder.

    Raises:
        ClipcondError: no such file, no such list, or an entry that is no region; the message names the entry.
    """
    try:
        entries = JSON.decode(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ClipcondError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ClipcondError(
            f"{path}: not readable as JSON ({first_line(error)}); write a list of regions"
        ) from error
    if not isinstance(entries, list) or not entries:
        raise ClipcondError(
            f"{path}: holds {_excerpt(entries)}; write a list of regions, at least one: "
            '[{"prompt": "a fox", "box": [0, 0, 0.5, 1]}]'
        )
    return tuple(
        _read_entry(f"{path}: entry {number} of {len(entries)}", entry, path.parent)
        for number, entry in enumerate(entries, start=1)
    )


def _read_entry(where: str, entry: object, folder: Path) -> Region:
    """One region of a file."""
    if not isinstance(entry, Mapping):
        raise ClipcondError(f"{where} is {_excerpt(entry)}; write an object")
    for key in entry:
        if key not in _KEYS:
            raise ClipcondError(f"{where} has the key {key!r}; known are {', '.join(_KEYS)}")
    if "prompt" not in entry:
        raise ClipcondError(f'{where} has no "prompt", but {_excerpt(entry)}; add one')
    mask = entry.get("mask")
    if mask is not None and not isinstance(mask, str):
        raise ClipcondError(f"{where}: mask={_excerpt(mask)}; give the path of a picture")
    try:
        return Region(**{**entry, "mask": mask if mask is None else folder / mask})
    except ClipcondError as error:
        raise ClipcondError(f"{where}: {error}") from error


def _excerpt(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "..."
