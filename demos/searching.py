"""What the Search tab finds: an upload's features, kept while its files stay, and the pictures by falling cosine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np

from clipcond.errors import ClipcondError
from clipcond.score import ClipScorer
from clipcond.search.query import query_vector, read_query

from .uploads import MAX_SEARCHED, Upload, read_uploads
from .view import bar, picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """An upload that was asked.

    Attributes:
        files: that it came in.
        upload: its pictures.
        features: of each, unit: [pictures, dim].
        query: what was looked for.
        cosine: of each picture with it.
    """

    files: tuple[str, ...]
    upload: Upload
    features: np.ndarray
    query: str
    cosine: np.ndarray

    @property
    def order(self) -> list[int]:
        """Pictures, the nearest first."""
        return [int(i) for i in np.argsort(-self.cosine, kind="stable")]


def search(
    scorer: ClipScorer, files: Sequence[str], query: str, before: Searched | None
) -> Searched:
    """Ask an upload; its pictures are looked at once.

    Raises:
        ClipcondError: no picture, or nothing asked.
    """
    if not query.strip():
        raise ClipcondError("query: nothing typed yet; say what you look for")
    if before is None or before.files != tuple(files):
        upload = read_uploads(files, most=MAX_SEARCHED)
        features = scorer.image_features(list(upload.pictures)).numpy()
        before = Searched(
            files=tuple(files),
            upload=upload,
            features=features,
            query="",
            cosine=np.zeros(len(features)),
        )
    return again(scorer, before, query)


def again(scorer: ClipScorer, before: Searched, query: str) -> Searched:
    """Ask the same upload something else."""
    places = {name: i for i, name in enumerate(before.upload.names)}
    terms = read_query(query, places)  # never a file of this machine
    vector = query_vector(terms, scorer, lambda name: before.features[places[name]])
    return replace(before, query=query, cosine=before.features @ vector)


def name_at(searched: Searched, rank: object) -> str:
    """The name of a picture that was clicked.

    Raises:
        ClipcondError: there is none.
    """
    if not isinstance(rank, int) or not 0 <= rank < len(searched.cosine):
        raise ClipcondError(f"picture: got {rank!r}; click one of those that are shown")
    return searched.upload.names[searched.order[rank]]


def told(searched: Searched) -> str:
    """How many, and what a click does."""
    return f"{len(searched.cosine)} pictures by “{searched.query}”. Click one for more like it."


def cards(searched: Searched) -> str:
    """The pictures by falling cosine, each a button."""
    low, high = float(searched.cosine.min()), float(searched.cosine.max())
    found = []
    for rank, i in enumerate(searched.order):
        score, name = float(searched.cosine[i]), searched.upload.names[i]
        share = 1.0 if high == low else 0.12 + 0.88 * (score - low) / (high - low)
        found.append(
            f'<button class="card" data-rank="{rank}" aria-label="{escape(name)}, cosine {score:.3f}: more like this">'
            f'{picture(searched.upload.pictures[i], name)}<span class="line">{bar(share, f"{score:.3f}")}</span>'
            f'<span class="line name">{escape(name)}</span></button>'
        )
    return f'<div class="cards">{"".join(found)}</div>'
