"""Eight prompts and a negative one through both text encoders of an SDXL: CLIP-L whole, bigG's width with eight layers, as
StableDiffusionXLPipeline's own `encode_prompt` does it. diffusers encodes the negative prompt eight times; here all nine texts are rows of one
forward an encoder, and a layer whose states nobody reads is not computed: of CLIP-L the last, of bigG all of the last but the end's.
Results are compared first. The limit counts nine rows through the layers that are read."""

from collections.abc import Iterator

import torch

from benchmarks.prompts import prompts
from benchmarks.race import Row, check_equal, race, text_products
from benchmarks.shapes import sdxl, tokenizer

LAYERS, COUNT, TARGET = (12, 8), 8, 1.8
TRIED = (
    "The least is nine rows for sixteen, 1.78 times, and with CLIP-L's last layer left out 1.83. That of bigG's last layer only the end's state is read is "
    "not used: a fortieth of the real encoder's operations, for a second way through it."
)
NEGATIVE = "blurry, low quality"


def rows(device: torch.device) -> Iterator[Row]:
    """One: prompts a second."""
    from clipcond import Conditioner

    pipe = sdxl(LAYERS).to(device)
    conditioner = Conditioner.from_pipeline(pipe)
    asked = prompts(tokenizer(), [12] * COUNT)

    def theirs() -> tuple[torch.Tensor, ...]:
        return pipe.encode_prompt(
            asked,
            device=device,
            do_classifier_free_guidance=True,
            negative_prompt=[NEGATIVE] * COUNT,
        )

    own, found = conditioner(asked, negative_prompt=NEGATIVE), theirs()
    ours = (own.prompt_embeds, own.negative_prompt_embeds, own.pooled_prompt_embeds)
    for first, second in zip(ours, found[:3], strict=True):
        check_equal(first, second, "sdxl_dual")
    small = text_products(pipe.text_encoder.config, COUNT + 1, 77, layers=LAYERS[0] - 1)
    big = text_products(pipe.text_encoder_2.config, COUNT + 1, 77, layers=LAYERS[1] - 1)
    yield race(
        "sdxl_dual/8 and a negative/diffusers",
        lambda: conditioner(asked, negative_prompt=NEGATIVE),
        theirs,
        count=COUNT,
        unit="prompts/s",
        device=device,
        target=TARGET,
        products=type(big)(small.flops + big.flops, big.shape),
    )
