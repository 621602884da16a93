"""Pictures of every accepted kind, made one kind: PIL in mode RGB, eight bits a channel.

Accepted: PIL images, numpy uint8 [height, width, 3 or 4], torch uint8 or float in 0..1 [3 or 4, height, width], paths;
lists of them, or numpy/torch batches with a leading axis. Anything else is a ScoreError: a scorer that guesses
value ranges scores photographic negatives without a word (ImagenHub multiplied uint8 by 255).

What a picture may hold beside plain pixels has one rule each: transparency is composited on white, an EXIF orientation
is applied, sixteen bits keep the high eight, CMYK and other modes are converted by Pillow's formulas (an embedded colour
profile is not applied, as in CLIP's own training), of an animation the first frame of a file, or the current one of a
PIL image, is taken. docs/checkpoints.md has them as a table.

Floats become uint8 by round(255 x), as diffusers does before it saves a PNG, so a picture straight from a
pipeline scores exactly as the same picture saved and loaded.
"""

import importlib.util
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from clipcond.errors import ScoreError

if TYPE_CHECKING:
    ImageLike = Image.Image | np.ndarray | torch.Tensor | str | Path
    Images = ImageLike | Sequence[ImageLike]
else:  # checked below, values included, with messages of our own also where annotations are executed
    ImageLike = Images = object

# sixteen-bit grey; Pillow reads sixteen-bit colour as eight
_WIDE_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_AMBIGUOUS_MODES = ("I", "F")  # no telling whether 1.0 is white, 255 is, or 65535 is
_MAX_PIXELS = 89_478_485  # where Pillow begins to warn of decompression bombs: 256 MB of RGB
_WITH_FLOAT64 = ("cuda",)  # devices that the exact resize runs on; mps has none, and not every xpu
_PROGRAMS = ("EPS",)  # decoding one would start Ghostscript on it


def split_images(images: Images) -> list[ImageLike]:
    """A list of single pictures from a list, a batch (leading axis) or one picture.

    Raises:
        ScoreError: nothing given, or neither a picture nor a list or batch of pictures.
    """
    if isinstance(images, np.ndarray | torch.Tensor) and images.ndim == 4:
        items: list[ImageLike] = list(images)
    elif isinstance(images, Image.Image | np.ndarray | torch.Tensor | str | Path):
        items = [images]
    elif isinstance(images, list | tuple):
        items = list(images)
    else:
        raise ScoreError(
            f"images: got {_describe(images)}; pass a list of PIL images, arrays, tensors or paths"
        )
    if not items:
        raise ScoreError(f"images: got {_describe(images)} with nothing in it; pass at least one")
    return items


def picture_at_hand(image: ImageLike, *, fast: bool = False) -> Image.Image | torch.Tensor:
    """One accepted picture for the image tower: pixels that are on an accelerator stay there, others become PIL RGB.

    On a CPU Pillow resizes six times faster than the exact product does, so tensors there become PIL too.

    Args:
        image: as `load_picture` takes it.
        fast: whether a plain JPEG file is decoded by simplejpeg, where that is installed, to a uint8 tensor [3, height, width]: the same
            pixels as Pillow's, without the way through PIL; tensors stay what they are.

    Raises:
        ScoreError: as `load_picture`.
    """
    if fast and isinstance(image, str | Path) and (pixels := _plain_jpeg(Path(image))) is not None:
        return pixels
    if not isinstance(image, torch.Tensor) or not (fast or image.device.type in _WITH_FLOAT64):
        return load_picture(image)
    pixels = _checked(image)
    return pixels if len(pixels) == 3 else _from_tensor(pixels)


def _plain_jpeg(file: Path) -> torch.Tensor | None:
    """Its pixels; None where it is another kind of file, turned, too large or damaged, which Pillow is left to tell of."""
    simplejpeg = _simplejpeg()
    if simplejpeg is None:
        return None
    try:
        content = file.read_bytes()
        with Image.open(BytesIO(content), formats=("JPEG",)) as opened:
            turned = opened.getexif().get(ExifTags.Base.Orientation, 1) != 1
            if turned or opened.mode != "RGB" or opened.width * opened.height > _MAX_PIXELS:
                return None
        return torch.from_numpy(simplejpeg.decode_jpeg(content, strict=True)).permute(2, 0, 1)
    except (OSError, ValueError):
        return None


@cache
def _simplejpeg() -> Any:
    """The decoder, where it is installed."""
    return importlib.import_module("simplejpeg") if importlib.util.find_spec("simplejpeg") else None


def load_picture(image: ImageLike) -> Image.Image:
    """One accepted picture as PIL RGB, upright and opaque, by the rules above; one that is so already is given back itself.

    Raises:
        ScoreError: what came is not such a picture; the message says what came and what would do.
    """
    if isinstance(image, str | Path):
        return read_picture(Path(image), str(Path(image)))
    if isinstance(image, Image.Image):
        return _from_pil(image, "image")
    if isinstance(image, np.ndarray):
        return _from_array(image)
    if isinstance(image, torch.Tensor):
        return _from_tensor(image)
    raise ScoreError(
        f"image: got {_describe(image)}; pass a PIL image, a numpy uint8 array [height, width, 3], "
        "a torch tensor [3, height, width] or a path"
    )


def read_picture(file: Path | BytesIO, name: str) -> Image.Image:
    """One encoded picture as PIL RGB, upright and opaque; `name` names it in errors.

    Raises:
        ScoreError: it is no picture, damaged, or refused by the rules above.
    """
    try:
        with Image.open(file) as opened:
            return _from_pil(opened, name)
    except ScoreError:
        raise
    except FileNotFoundError:
        raise ScoreError(f"{name}: no such picture file; check the path") from None
    except UnidentifiedImageError:
        raise ScoreError(
            f"{name}: not a picture that Pillow can read; convert it to PNG or JPEG"
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ScoreError(
            f"{name}: more than {_MAX_PIXELS:,} pixels, which would fill the memory; shrink it first"
        ) from None
    # Pillow's decoders raise whatever a damaged file makes them stumble over
    except Exception as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ScoreError(
            f"{name}: unreadable picture ({reason}); save or download it again"
        ) from error


def _from_pil(image: Image.Image, name: str) -> Image.Image:
    """Checked by what the header says before a pixel is decoded."""
    if 0 in image.size:
        raise ScoreError(
            f"{name}: got a picture of {image.width} x {image.height}; it has no pixel"
        )
    if image.width * image.height > _MAX_PIXELS:
        raise ScoreError(_too_large(image.width, image.height, name))
    if image.format in _PROGRAMS:
        raise ScoreError(
            f"{name}: {image.format} is a program that draws a picture, and is not run; convert it to PNG"
        )
    if image.mode in _AMBIGUOUS_MODES:
        raise ScoreError(
            f"{name}: got a PIL image in mode {image.mode!r}, whose white is unknown; "
            "scale it to 0..255 and convert it to mode 'L'"
        )
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    upright = ImageOps.exif_transpose(image) if turned else image  # it copies what it does not turn
    if upright.mode in _WIDE_MODES:
        upright = _narrowed(upright)
    key = upright.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:
        raise ScoreError(
            f"{name}: has a transparent colour {key} in sixteen bits, which is lost when it is read in eight; "
            "save it with an alpha channel"
        )
    if not upright.has_transparency_data:
        upright.load()
        return upright if upright.mode == "RGB" else upright.convert("RGB")
    opaque = Image.new("RGBA", upright.size, (255, 255, 255, 255))
    return Image.alpha_composite(opaque, upright.convert("RGBA")).convert("RGB")


def _too_large(width: int, height: int, name: str = "image") -> str:
    return (
        f"{name}: got a picture of {width} x {height}, more than {_MAX_PIXELS:,} pixels, which would fill the memory; "
        "shrink it first"
    )


def _narrowed(wide: Image.Image) -> Image.Image:
    """Sixteen-bit grey to its high byte; where one grey means transparent, white."""
    values = np.asarray(wide)
    grey = (values >> 8).astype(np.uint8)
    if "transparency" in wide.info:
        grey[values == wide.info["transparency"]] = 255
    return Image.fromarray(grey)


def _from_array(array: np.ndarray) -> Image.Image:
    if array.dtype != np.uint8:
        repair = (
            "convert it: (255 * x).round().astype('uint8')"
            if array.dtype.kind == "f"
            else ("convert it to uint8 in 0..255")
        )
        raise ScoreError(f"image: got {_describe(array)}; numpy pictures are uint8: {repair}")
    if array.ndim != 3 or array.shape[-1] not in (3, 4):
        raise ScoreError(
            f"image: got {_describe(array)}; numpy pictures are [height, width, 3 or 4]: "
            f"{_axis_repair(array.shape, channels_at=0, repair='use np.moveaxis(x, 0, -1)')}"
        )
    if 0 in array.shape:
        raise ScoreError(f"image: got {_describe(array)}; it has no pixel")
    return _from_pil(Image.fromarray(np.ascontiguousarray(array)), "image")


def _from_tensor(tensor: torch.Tensor) -> Image.Image:
    return _from_array(_checked(tensor).cpu().permute(1, 2, 0).contiguous().numpy())


def _checked(tensor: torch.Tensor) -> torch.Tensor:
    """As bytes, where it is."""
    if tensor.ndim != 3 or tensor.shape[0] not in (3, 4):
        raise ScoreError(
            f"image: got {_describe(tensor)}; torch pictures are [3 or 4, height, width]: "
            f"{_axis_repair(tuple(tensor.shape), channels_at=-1, repair='use x.permute(2, 0, 1)')}"
        )
    if 0 in tensor.shape:
        raise ScoreError(f"image: got {_describe(tensor)}; it has no pixel")
    if tensor.shape[1] * tensor.shape[2] > _MAX_PIXELS:
        raise ScoreError(_too_large(tensor.shape[2], tensor.shape[1]))
    values = tensor.detach()
    if values.dtype.is_floating_point:
        return _bytes_from_unit(values)
    if values.dtype != torch.uint8:
        raise ScoreError(
            f"image: got {_describe(tensor)}; torch pictures are uint8, or float in 0..1: convert it"
        )
    return values


def _bytes_from_unit(values: torch.Tensor) -> torch.Tensor:
    """Float in 0..1 to uint8, rounded as diffusers' numpy_to_pil does."""
    if not bool(torch.isfinite(values).all()):
        raise ScoreError(
            f"image: got {_describe(values)} that holds NaN or infinity; "
            "find out where it arose (often an overflow in half precision)"
        )
    low, high = values.min().item(), values.max().item()
    if low < 0 or high > 1:
        raise ScoreError(
            f"image: got {_describe(values)} with values from {low:.4g} to {high:.4g}; "
            "float pictures are in 0..1: undo any normalisation, e.g. (x / 2 + 0.5).clamp(0, 1)"
        )
    return (values.float() * 255).round().to(torch.uint8)


def _axis_repair(shape: tuple[int, ...], *, channels_at: int, repair: str) -> str:
    if len(shape) == 3 and shape[channels_at] in (3, 4):
        return repair
    return "pass colour pictures, one by one or in a batch"


def _describe(value: object) -> str:
    """What came, in words: kind, dtype and shape of arrays, type and excerpt of the rest."""
    if isinstance(value, np.ndarray):
        return f"a numpy {value.dtype} array of shape {list(value.shape)}"
    if isinstance(value, torch.Tensor):
        return (
            f"a torch {str(value.dtype).removeprefix('torch.')} tensor of shape {list(value.shape)}"
        )
    excerpt = repr(value)
    return f"{type(value).__name__} {excerpt if len(excerpt) <= 60 else excerpt[:57] + '...'}"
