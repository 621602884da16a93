"""Prompts with the default negative prompt through a text encoder of CLIP-L's width and three layers, as StableDiffusionPipeline's own
`encode_prompt` does it: 32 different ones; and 64 of which 8 are different. diffusers encodes the negative prompt once a prompt, in
a second forward; here every different text is one row of one forward. Results are equal to the last bit or to 1e-5 of scale, which
is checked first. The limit counts one row for each different text."""

from collections.abc import Iterator

import torch

from benchmarks.prompts import lengths, prompts
from benchmarks.race import Row, check_equal, race, text_products
from benchmarks.shapes import stable_diffusion, tokenizer

LAYERS = 3


def rows(device: torch.device) -> Iterator[Row]:
    """Two: prompts a second."""
    from clipcond import Conditioner

    pipe = stable_diffusion(LAYERS).to(device)
    conditioner = Conditioner.from_pipeline(pipe)
    different = prompts(tokenizer(), [n for n in lengths("PartiPrompts") if n <= 77][:32])
    for what, asked, target in (
        ("32 different", different, 1.9),
        ("8 of 64", different[:8] * 8, 12.0),
    ):
        own, theirs = conditioner(asked), _theirs(pipe, asked, device)
        check_equal(own.prompt_embeds, theirs[0], f"sd_batch_cfg, {what}")
        check_equal(own.negative_prompt_embeds, theirs[1], f"sd_batch_cfg, {what}, negative")
        count = len(set(asked)) + 1
        yield race(
            f"sd_batch_cfg/{what}/diffusers",
            lambda asked=asked: conditioner(asked),
            lambda asked=asked: _theirs(pipe, asked, device),
            count=len(asked),
            unit="prompts/s",
            device=device,
            target=target,
            products=text_products(pipe.text_encoder.config, count, 77),
        )


def _theirs(pipe: object, asked: list[str], device: torch.device) -> tuple[torch.Tensor, ...]:
    return pipe.encode_prompt(asked, device, 1, do_classifier_free_guidance=True)
