"""Features of pictures and texts by one CLIP: where every score begins.

Unit, finite and float32, whatever the towers compute in: one step of a bfloat16 cosine near 0.3 is 0.2 points on the
usual hundred-point scale, more than many published differences. What has no such features is refused here, once, so
that no measure meets NaN, which compares false with everything and so reads as "below", "unknown" or "not missing".
"""

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import PIL
import torch
import transformers
from jaxtyping import Bool, Float

import clipcond
from clipcond.clip import Clip, TextFeatures, split_images
from clipcond.clip.images import ImageLike, Images, picture_at_hand
from clipcond.errors import ScoreError, ScoreTruncatedWarning
from clipcond.score.pictures import PictureError
from clipcond.score.results import Scores
from clipcond.score.variants import Variant

if TYPE_CHECKING:
    Prompts = str | Sequence[str]
else:  # checked below, with messages of our own also where annotations are executed
    Prompts = object

_READ = 1024  # texts that are tokenised together, and go with those of their length
_CACHED_TEXTS = 4096  # 12 MB at 768 dimensions
# distance of unit features of one text in two batches, at most; two texts have far more
_SAME = 1e-3
_QUOTED = 60  # characters of a text in a message

_T = TypeVar("_T")
_U = TypeVar("_U")


class ClipFeatures:
    """Makes features with one CLIP, in batches; those of the last 4,096 texts are kept. Safe from any thread.

    Args:
        clip: the loaded checkpoint.
        batch_size: pictures or texts a forward. In float32 on a CPU features do not depend on it beyond 1e-6; in
            half precision, within that precision's rounding.
    """

    def __init__(self, clip: Clip, *, batch_size: int = 32) -> None:
        if batch_size < 1:
            raise ScoreError(f"batch_size: got {batch_size}; needs at least 1")
        self.clip = clip
        self.batch_size = batch_size
        self._known: OrderedDict[str, tuple[torch.Tensor, bool]] = OrderedDict()
        # texts are encoded by one thread at a time: the tokenizer is shared, and so is what is known
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles start with a lock and texts of their own."""
        return partial(type(self), batch_size=self.batch_size), (self.clip,)

    def __repr__(self) -> str:
        clip, pictures = self.clip, self.clip.preprocessing.as_dict()
        return (
            f"{type(self).__name__} {clip.name}: {clip.architecture}; {self._dtype} on {clip.model.device}\n"
            f"pictures: {pictures['resize']}, crop {pictures['crop']}; texts: {clip.positions} tokens"
        )

    def image_features(self, images: Images) -> Float[torch.Tensor, "n dim"]:
        """Unit features of pictures, float32 on the CPU.

        Raises:
            PictureError: pictures that are none, or that the image tower gives no finite features; the message says
                which.
            ScoreError: nothing that holds pictures.
        """
        items = split_images(images)
        found = torch.cat([
            self._encoded_pictures(batch) for batch in _batches(list(enumerate(items)), self.batch_size)
        ])  # fmt: skip
        found, wrong = _unit(found)
        if wrong:
            raise PictureError({
                place: f"{_path(items[place])}{self._no_features('image', what)}"
                for place, what in wrong.items()
            })  # fmt: skip
        return found

    def text_features(self, texts: Sequence[str]) -> TextFeatures:
        """Unit features of texts, float32 on the CPU, and which were cut; a text that repeats is encoded once.

        Raises:
            ScoreError: texts that are none, or that the text tower gives no finite features.
        """
        texts = checked_texts(texts)
        with self._lock:
            found = {t: self._known[t] for t in dict.fromkeys(texts) if t in self._known}
            missing = sorted((t for t in dict.fromkeys(texts) if t not in found), key=len)
            for batch in _batches(missing, _READ):
                found |= self._encoded_texts(batch)
            self._remember(found)
        return TextFeatures(
            features=torch.stack([found[text][0] for text in texts]),
            truncated=torch.tensor([found[text][1] for text in texts]),
        )

    def forget(self) -> None:
        """Let go of the texts that are kept, so that features do not depend on what came before, by their last bits."""
        with self._lock:
            self._known.clear()

    def scores(
        self,
        values: Float[torch.Tensor, " n"],
        *,
        truncated: Bool[torch.Tensor, " n"],
        variant: Variant,
        prompts: Sequence[str] = (),
        **made: object,
    ) -> Scores:
        """Values with this scorer's provenance; `made` says what else they depend on."""
        return Scores(
            values=values,
            truncated=truncated,
            variant=variant,
            provenance={**self.provenance, "variant": variant.as_dict(), **made},
            prompts=tuple(prompts),
        )

    @property
    def text_tower(self) -> torch.nn.Module:
        """The text transformer, to tell whether it also conditioned a picture."""
        tower: torch.nn.Module = self.clip.model.text_model
        return tower

    @property
    def logit_scale(self) -> float:
        """What the model multiplies a cosine by before its softmax: 100 in OpenAI's, less in fine-tuned ones.

        Raises:
            ScoreError: the checkpoint's is not finite.
        """
        scale = self.clip.model.logit_scale.detach().float().exp()
        if not bool(torch.isfinite(scale)):
            raise ScoreError(
                f"{self.clip.name}: its logit scale is {scale.item()}, which makes no probabilities; "
                "copy or download the checkpoint again"
            )
        return float(scale)

    @property
    def provenance(self) -> dict[str, Any]:
        """What a number from this scorer depends on, JSON-able."""
        preprocessing = self.clip.preprocessing.as_dict()
        return {
            "scorer": self.clip.name,
            "weights_sha256": self.clip.digest,
            "assumed": list(self.clip.assumed),
            **self.clip.as_dict(),
            "preprocessing": preprocessing,
            "crop": preprocessing["crop"],
            "text_positions": self.clip.positions,
            "dtype": self._dtype,
            "versions": {
                "clipcond": clipcond.__version__,
                "torch": torch.__version__,
                "transformers": transformers.__version__,
                "pillow": PIL.__version__,
            },
        }

    @property
    def _dtype(self) -> str:
        return str(self.clip.model.dtype).removeprefix("torch.")

    def _encoded_pictures(self, batch: Sequence[tuple[int, ImageLike]]) -> torch.Tensor:
        opened = partial(picture_at_hand, fast=self.clip.preprocessing.resizing == "fast")
        pictures = [_nth(i, opened, item) for i, item in batch]
        try:
            return self.clip.encode_pictures(pictures)
        except ScoreError:  # the preparation refuses one, and does not know its place
            for (i, _), picture in zip(batch, pictures, strict=True):
                _nth(i, self.clip.preprocessing.views, picture)
            raise

    def _encoded_texts(self, batch: Sequence[str]) -> dict[str, tuple[torch.Tensor, bool]]:
        encoded = self.clip.encode_texts(batch, at_once=self.batch_size)
        features, wrong = _unit(encoded.features)
        for place, what in wrong.items():
            raise ScoreError(f"text {quoted(batch[place])}: {self._no_features('text', what)}")
        rows = zip(features, encoded.truncated.tolist(), strict=True)
        return dict(zip(batch, ((row.clone(), cut) for row, cut in rows), strict=True))

    def _no_features(self, tower: str, what: str) -> str:
        repair = (
            "copy or download the checkpoint again, since float32 does not overflow"
            if self._dtype == "float32"
            else "load the scorer with dtype=torch.float32 (--dtype float32)"
        )
        return f"the {tower} tower gives it {what} in {self._dtype}; {repair}"

    def _remember(self, found: dict[str, tuple[torch.Tensor, bool]]) -> None:
        """Keep the texts used last."""
        for text, features in found.items():
            self._known[text] = features
            self._known.move_to_end(text)
        while len(self._known) > _CACHED_TEXTS:
            self._known.popitem(last=False)


def checked_texts(prompts: Prompts) -> list[str]:
    """Prompts as a list of strings that can be encoded.

    Raises:
        ScoreError: anything else; the message names the place.
    """
    if not isinstance(prompts, list | tuple) or not prompts:
        raise ScoreError(f"prompts: got {prompts!r}; pass a string or a list of strings")
    for index, text in enumerate(prompts):
        if not isinstance(text, str):
            raise ScoreError(f"prompts[{index}]: got {text!r}; a prompt is a string")
        if "\0" in text:
            raise ScoreError(
                f"prompts[{index}]: {text!r} holds a NUL character, which no caption means; take it out"
            )
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ScoreError(
                f"prompts[{index}]: holds half of a surrogate pair, which is no character; decode it as UTF-8"
            ) from None
    return list(prompts)


def paired(images: Images, prompts: Prompts) -> tuple[list[ImageLike], list[str]]:
    """As many texts as pictures, one string going with all.

    Raises:
        ScoreError: they do not pair.
    """
    items = split_images(images)
    texts = checked_texts([prompts] * len(items) if isinstance(prompts, str) else prompts)
    if len(texts) != len(items):
        raise ScoreError(
            f"got {len(items)} images and {len(texts)} prompts; "
            "score takes pairs (similarity compares each with each)"
        )
    return items, texts


def require_finite(values: torch.Tensor, name: str) -> None:
    """Refuse numbers that came from elsewhere and are none.

    Args:
        values: of any shape; the first axis counts pictures, texts or classes.
        name: of the argument.

    Raises:
        ScoreError: NaN or infinity among them; the message names the first place.
    """
    wrong = ~torch.isfinite(values)
    if bool(wrong.any()):
        place = int(wrong.nonzero()[0, 0])
        raise ScoreError(
            f"{name}[{place}]: holds {values[wrong][0].item()}, which cannot be compared; make it again in float32"
        )


def cut_texts(texts: Sequence[str], found: TextFeatures) -> tuple[str, ...]:
    """Those that were longer than the text tower reads, each once."""
    pairs = zip(texts, found.truncated.tolist(), strict=True)
    return tuple(dict.fromkeys(text for text, cut in pairs if cut))


def warn_of_cut(cut: Sequence[str], positions: int, *, stacklevel: int) -> None:
    """Say which texts counted without their ends, where a result is a bare tensor and cannot.

    Warns:
        ScoreTruncatedWarning: there are some.
    """
    if cut:
        more = f" and {len(cut) - 1} more" if len(cut) > 1 else ""
        warnings.warn(
            f"text {quoted(cut[0])}{more}: longer than the {positions} tokens that CLIP reads; the end does not "
            "count: shorten it",
            ScoreTruncatedWarning,
            stacklevel=stacklevel + 1,
        )


def same_to_clip(
    one: Float[torch.Tensor, "n dim"], other: Float[torch.Tensor, "m dim"]
) -> Bool[torch.Tensor, "n m"]:
    """Which unit features of texts are of the same tokens."""
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist") < _SAME


def _unit(features: torch.Tensor) -> tuple[Float[torch.Tensor, "n dim"], dict[int, str]]:
    """(unit features, what is wrong by row)."""
    whole = features.float().cpu()
    lengths = whole.norm(dim=-1, keepdim=True)
    flat = lengths.flatten()
    wrong = dict.fromkeys((~torch.isfinite(flat)).nonzero().flatten().tolist(), "NaN or infinity")
    wrong |= dict.fromkeys((flat == 0).nonzero().flatten().tolist(), "only zeros")
    return torch.nn.functional.normalize(whole, dim=-1), dict(sorted(wrong.items()))


def _nth(index: int, prepare: Callable[[_T], _U], item: _T) -> _U:
    """Prepared; what is wrong with it is said with its place."""
    try:
        return prepare(item)
    except ScoreError as error:
        raise PictureError({index: str(error)}) from error


def _path(item: ImageLike) -> str:
    return f"{item}: " if isinstance(item, str | Path) else ""


def quoted(text: str) -> str:
    """A text for a message, shortened."""
    return repr(text if len(text) <= _QUOTED else text[: _QUOTED - 3] + "...")


def _batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
