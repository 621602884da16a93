"""The best of 64 candidates of one prompt, PIL pictures of 512 x 512, with towers of ViT-B/32's width and four layers. Peers: a loop over pictures with
transformers' own processor and model, and torchmetrics' `CLIPScore`, called for each picture. The order is compared first. The limit
counts the image tower and one caption."""

from collections.abc import Iterator

import torch
from PIL import Image

from benchmarks.prompts import prompts
from benchmarks.race import Products, Row, image_products, race, text_products
from benchmarks.rows.clipscore_mem import pictures
from benchmarks.shapes import judges, tokenizer

COUNT, LAYERS, TOKENS, TARGET = 64, 4, 16, 1.7


def rows(device: torch.device) -> Iterator[Row]:
    """Two: pictures a second."""
    from clipcond import rerank

    images = [Image.fromarray(each.permute(1, 2, 0).numpy()) for each in pictures(COUNT)]
    (prompt,) = prompts(tokenizer(), [TOKENS])
    scorer, model, processor, metric = judges(device, layers=LAYERS)

    def ours() -> list[int]:
        scorer.forget()
        return list(rerank(images, prompt, scorer, top_k=COUNT).order)

    def loop() -> list[float]:
        found = []
        for image in images:
            read = processor(text=[prompt], images=image, return_tensors="pt", padding=True).to(
                device
            )
            found.append(float(model(**read).logits_per_image))
        return found

    def calls() -> list[float]:
        tensors = [torch.from_numpy(_array(image)).permute(2, 0, 1) for image in images]
        return [float(metric(tensor, prompt)) for tensor in tensors]

    scores = torch.tensor(loop())
    gaps = scores[ours()].diff()  # neighbours may change places where they are equal to float32
    if float(gaps.max()) > 1e-3:
        raise SystemExit(f"rerank: the orders differ, by {float(gaps.max()):g} of a logit")
    image = image_products(model.config.vision_config, COUNT)
    text = text_products(model.config.text_config, 1, TOKENS)
    for name, peer in {"a transformers loop": loop, "torchmetrics": calls}.items():
        yield race(
            f"rerank/64 candidates/{name}",
            ours,
            peer,
            count=COUNT,
            unit="pictures/s",
            device=device,
            target=TARGET,
            products=Products(image.flops + text.flops, image.shape),
            rounds=3,
        )


def _array(image: Image.Image) -> object:
    import numpy as np

    return np.array(image)
