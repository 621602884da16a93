"""Two prompts of 270 tokens (four windows) with six words down, in compel's language and with its weighting, through a text encoder of
CLIP-L's width and four layers. compel encodes every window once more for each word that is down; here only the window that has the
word is. Both results are compared first. The limit counts ten rows a prompt: four windows, and six with a word left out."""

from collections.abc import Iterator

import torch

from benchmarks.prompts import prompts
from benchmarks.race import Row, check_equal, race, text_products
from benchmarks.shapes import stable_diffusion, tokenizer

COUNT, LAYERS, TARGET = 2, 4, 2.5
WINDOWS, DOWN = 4, 6


def texts() -> list[str]:
    """Six words down, in different windows."""
    found = []
    for text in prompts(tokenizer(), [272] * COUNT):
        words = text.split()
        for place in (10, 60, 110, 140, 190, 250):
            words[place] = f"({words[place]})0.7"
        found.append(" ".join(words))
    return found


def rows(device: torch.device) -> Iterator[Row]:
    """One: prompts a second."""
    from compel import Compel

    from clipcond import Conditioner

    pipe = stable_diffusion(LAYERS).to(device)
    compel = Compel(
        tokenizer=pipe.tokenizer, text_encoder=pipe.text_encoder, truncate_long_prompts=False
    )
    conditioner = Conditioner.from_pipeline(pipe, dialect="compel", weighting="compel")
    asked = texts()
    check_equal(conditioner(asked).prompt_embeds, compel(asked), "long_weights", at_most=2e-5)
    yield race(
        "long_weights/4 windows, 6 down/compel",
        lambda: conditioner(asked),
        lambda: compel(asked),
        count=COUNT,
        unit="prompts/s",
        device=device,
        target=TARGET,
        products=text_products(pipe.text_encoder.config, COUNT * (WINDOWS + DOWN), 77),
    )
