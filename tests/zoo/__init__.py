"""A zoo of tiny pipelines: every class of diffusers whose prompt a text encoder reads, as far as it can run offline.

`ZOO` has an entry for each class, `REFUSED` the reason for each that has none.
"""

from tests.zoo import (
    alone,
    cascade,
    chat,
    easy,
    film,
    flux,
    gemma,
    gemma_language,
    hunyuan,
    kandinsky,
    language,
    ltx2,
    other,
    sd1,
    sd3,
    sdxl,
    t5,
    wan,
)
from tests.zoo.animal import Animal

__all__ = ["REFUSED", "ZOO", "Animal"]

FAMILIES = (
    sd1,
    sdxl,
    sd3,
    flux,
    t5,
    gemma,
    cascade,
    wan,
    film,
    hunyuan,
    kandinsky,
    language,
    alone,
    chat,
    easy,
    gemma_language,
    ltx2,
    other,
)
ZOO: dict[str, Animal] = {
    name: entry for family in FAMILIES for name, entry in family.ANIMALS.items()
}
REFUSED: dict[str, str] = dict(
    MarigoldDepthPipeline="takes no prompt: it encodes the empty one itself",
    MarigoldIntrinsicsPipeline="takes no prompt: it encodes the empty one itself",
    MarigoldNormalsPipeline="takes no prompt: it encodes the empty one itself",
)
