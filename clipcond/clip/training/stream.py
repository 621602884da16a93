"""The endless stream of pairs: what stands at each place of it is a pure function of the seed and the place.

Epoch after epoch, each a permutation of its own of all rows; of several captions of a picture one, and of the picture a
crop. So no worker, process or number of them has a say in it, and going on at a place needs nothing but its number.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from io import BytesIO

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch.utils.data import Dataset

from clipcond.clip.images import read_picture
from clipcond.clip.preprocess import Preprocessing
from clipcond.clip.reading import Reader
from clipcond.clip.towers import Clip, pooled_at
from clipcond.clip.training.rows import Source
from clipcond.clip.training.sources import Rows
from clipcond.errors import ClipcondError

_NARROWEST, _WIDEST = 3 / 4, 4 / 3  # of a crop, width by height, as torchvision's RandomResizedCrop
_BUCKET = 8  # tokens

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How pictures and captions become what a CLIP's towers read.

    Attributes:
        reader: captions to ids.
        positions: how many ids the text tower reads.
        where: features are taken, as `TextTower.features` has it.
        preprocessing: of pictures, under the crop policy that the checkpoint asks for.
        crop: the smallest share of a picture that a random crop keeps; 1 for none, and pictures as they are evaluated.
    """

    reader: Reader
    positions: int
    where: str
    preprocessing: Preprocessing
    crop: float

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise ClipcondError(f"crop: got {self.crop}; needs more than 0, and at most 1")

    @classmethod
    def of(cls, clip: Clip, *, crop: int | float) -> "Preparation":
        """A CLIP's own.

        Raises:
            ClipcondError: a crop that is no share.
        """
        return cls(
            reader=clip.reader,
            positions=clip.positions,
            where=clip.architecture.text.features,
            preprocessing=clip.preprocessing.cropping(None),
            crop=float(crop),
        )

    def length(self, longest: int) -> int:
        """How many ids a row is filled up to, if the longest has so many: rounded up, or all if the tower reads the filling."""
        if self.where == "last":
            return self.positions
        return min(max(-(-longest // _BUCKET), 1) * _BUCKET, self.positions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A pair at a place of the stream.

    Attributes:
        pixels: the prepared picture.
        ids: of the caption, not filled up.
        end: where its features are taken.
        picture: a digest of the encoded picture, in 63 bits.
        caption: a digest of the ids, in 63 bits.
        cut: whether the caption lost its end.
    """

    pixels: Float[torch.Tensor, "3 height width"]
    ids: tuple[int, ...]
    end: int
    picture: int
    caption: int
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A row that is left out: its number in the source, its name, and why."""

    row: int
    name: str
    reason: str


class Stream(Dataset[Sample | Broken]):
    """What stands at places 0, 1, 2, ... of the stream, without end.

    Args:
        source: pictures and captions.
        rows: which of them; at least one.
        preparation: how they are prepared.
        seed: of orders, captions and crops.

    Raises:
        ClipcondError: no row.
    """

    def __init__(self, source: Source, rows: Rows, preparation: Preparation, seed: int) -> None:
        if not len(rows):
            raise ClipcondError("data: there is no row to train on; hold out less, or add some")
        self.source, self.rows, self.preparation, self.seed = source, rows, preparation, seed
        self._shuffled: tuple[int, Rows] | None = None

    def row(self, place: int) -> int:
        """The number in the source of the row at a place."""
        epoch, at = divmod(place, len(self.rows))
        if self._shuffled is None or self._shuffled[0] != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.rows)
            self._shuffled = epoch, order
        return int(self._shuffled[1][at])

    def __getitem__(self, place: int) -> Sample | Broken:
        row, chances = self.row(place), chances_at(self.seed, place)
        try:
            captions = self.source.captions(row)
            ids, cut = read_caption(captions[int(chances[0] * len(captions))], self.preparation)
            pixels, number = prepared(
                self.source, row, lambda picture: self._pixels(picture, chances)
            )
        except ClipcondError as error:
            return broken(self.source, row, error)
        return Sample(
            pixels=pixels,
            ids=tuple(ids),
            end=pooled_at(ids, self.preparation.where, self.preparation.positions),
            picture=number,
            caption=_number(np.array(ids, np.int64).tobytes()),
            cut=cut,
        )

    def _pixels(self, picture: Image.Image, chances: tuple[float, ...]) -> torch.Tensor:
        preprocessing, share = self.preparation.preprocessing, self.preparation.crop
        if share == 1:
            return preprocessing.views(picture)[0]
        part = picture.crop(crop_box(picture.size, share, chances[1:]))
        # squashed to the square as RandomResizedCrop does it, but where the tower is to see pictures unsquashed
        policy = "pad" if preprocessing.policy == "pad" else "squash"
        return replace(preprocessing, policy=policy).views(part)[0]


def prepared(
    source: Source, row: int, prepare: Callable[[Image.Image], torch.Tensor]
) -> tuple[torch.Tensor, int]:
    """(the prepared picture of a row, a number that equal files share).

    Raises:
        ClipcondError: there is none that can be read.
    """
    content = source.picture(row)
    with warnings.catch_warnings():
        # what Pillow finds odd and reads; what it cannot read is an error
        warnings.filterwarnings("ignore", module=r"PIL\.")
        picture = read_picture(BytesIO(content), source.name(row))
    return prepare(picture), _number(content)


def read_caption(caption: str, preparation: Preparation) -> tuple[list[int], bool]:
    """(ids of a caption, whether it lost its end)."""
    (ids,), (cut,) = preparation.reader.read([caption], preparation.positions)
    return ids, cut


def broken(source: Source, row: int, error: Exception) -> Broken:
    """A row that is left out because of an error."""
    name = source.name(row)
    return Broken(row=row, name=name, reason=str(error).removeprefix(f"{name}: "))


def chances_at(seed: int, place: int) -> tuple[float, ...]:
    """Five numbers in [0, 1), spread evenly, for a place of the stream: the caption's, and four of the crop's."""
    bits = blake2b(f"{seed} {place}".encode(), digest_size=40).digest()
    words = (int.from_bytes(bits[at : at + 8], "big") for at in range(0, 40, 8))
    return tuple((word >> 11) / 2**53 for word in words)


def crop_box(size: tuple[int, int], share: float, chances: tuple[float, ...]) -> Box:
    """(left, top, right, bottom) of a random crop, in pixels.

    Of the picture's area it keeps a share between `share` and 1, with an aspect between 3/4 and 4/3, as torchvision's
    RandomResizedCrop. Of a picture more elongated than that it keeps the share of the largest part that is not, where
    RandomResizedCrop gives up and takes the middle. No draw is thrown away.

    Args:
        size: of the picture, width and height.
        share: the smallest, over 0 and at most 1.
        chances: four numbers in [0, 1): of area, aspect, left and top.
    """
    width, height = size
    usable = min(width, _WIDEST * height) * min(height, width / _NARROWEST)
    area = usable * (share + (1 - share) * chances[0])
    # of all aspects, those whose crop of that area is within the picture; log-uniform between them
    low, high = max(_NARROWEST, area / height**2), min(_WIDEST, width**2 / area)
    aspect = low * (max(high, low) / low) ** chances[1]
    across = min(math.ceil(math.sqrt(area * aspect)), width)
    down = min(math.ceil(math.sqrt(area / aspect)), height)
    left = int(chances[2] * (width - across + 1))
    top = int(chances[3] * (height - down + 1))
    return left, top, left + across, top + down


def _number(content: bytes) -> int:
    """63 bits that equal bytes share, and no others that there are."""
    digest = blake2b(content, digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
