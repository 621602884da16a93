"""CLIPScore of 16 pictures of 512 x 512 that are in memory as uint8 tensors, each with a caption of a dozen tokens, with ViT-B/32. Peers:
torchmetrics' `CLIPScore`, by `update` (both encoders once) and by calling it (twice, with gradients). The means are compared
first. The limit counts the image tower, and the captions' own tokens."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from benchmarks.prompts import prompts
from benchmarks.race import Products, Row, check_equal, image_products, race, text_products
from benchmarks.shapes import judges, tokenizer

COUNT, TOKENS, SIDE = 16, 12, 512
TARGETS = {"update": 1.05, "forward": 2.0}
TRIED = "Torchmetrics' update makes the same two forwards, and nearly all of the time is theirs; only the preparation of pictures is faster here."


def pictures(count: int = COUNT) -> torch.Tensor:
    """[count, 3, 512, 512] uint8: noise that is smooth, as pictures are."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 3, 64, 64), dtype=np.uint8)
    whole = torch.nn.functional.interpolate(
        torch.from_numpy(coarse), size=(SIDE, SIDE), mode="bilinear"
    )
    return whole.contiguous()


def rows(device: torch.device) -> Iterator[Row]:
    """Two: pictures a second."""
    images, texts = pictures().to(device), prompts(tokenizer(), [TOKENS] * COUNT)
    scorer, model, _, metric = judges(device)

    def ours() -> torch.Tensor:
        scorer.forget()
        return scorer.score(images, texts, variant="torchmetrics").mean()

    def update() -> Any:
        metric.reset()
        metric.update(list(images), texts)
        return metric.compute()

    def forward() -> Any:
        metric.reset()
        return metric(list(images), texts)

    check_equal(
        torch.tensor([ours()]), update().detach().reshape(1).cpu(), "clipscore_mem", at_most=1e-4
    )
    image = image_products(model.config.vision_config, COUNT)
    text = text_products(model.config.text_config, COUNT, TOKENS)
    for name, peer in {"update": update, "forward": forward}.items():
        yield race(
            f"clipscore_mem/ViT-B-32, 512 px/torchmetrics {name}",
            ours,
            peer,
            count=COUNT,
            unit="pictures/s",
            device=device,
            target=TARGETS[name],
            products=Products(image.flops + text.flops, image.shape),
        )
