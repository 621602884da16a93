"""Sixteen pictures of the shipped model in ten steps, with guidance in four of them only (`clipcond.guidance`), beside guidance in all ten: the
denoiser's own time. Outside the interval the unconditional half is not computed, so that a run costs (1 + 0.4) / 2 of the whole; the target is
within 3 % of that. The second row has an interval of all steps beside no interval at all, which must cost nothing."""

from collections.abc import Iterator

import torch

from benchmarks.race import Row, race

COUNT, STEPS, GUIDED = 16, 10, 4
PROMPT = "a red heart to the left of a fox"


def rows(device: torch.device) -> Iterator[Row]:
    """Two: pictures a second."""
    from diffusers import StableDiffusionPipeline

    from clipcond import Conditioner, guidance
    from clipcond.resources import model_folder

    pipe = StableDiffusionPipeline.from_pretrained(model_folder("emoji")).to(device)
    pipe.set_progress_bar_config(disable=True)
    inputs = Conditioner.from_pipeline(pipe)(PROMPT).kwargs_for(pipe, num_images_per_prompt=COUNT)

    def draw() -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        return pipe(
            **inputs, num_inference_steps=STEPS, generator=generator, output_type="latent"
        ).images

    def within(begin: float, end: float) -> torch.Tensor:
        with guidance(pipe, interval=(begin, end)):
            return draw()

    if not torch.equal(within(0.0, 1.0), draw()):
        raise SystemExit("denoise_loop: an interval of all steps changes the pictures")
    share = GUIDED / STEPS
    yield race(
        f"denoise_loop/guidance in {GUIDED} of {STEPS} steps/guidance in all",
        lambda: within(0.0, share),
        draw,
        count=COUNT,
        unit="pictures/s",
        device=device,
        target=round(2 / (1 + share) / 1.03, 3),
    )
    yield race(
        "denoise_loop/an interval of all steps/no interval",
        lambda: within(0.0, 1.0),
        draw,
        count=COUNT,
        unit="pictures/s",
        device=device,
        target=0.98,
    )
