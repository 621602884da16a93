"""`guidance`: a pipeline's classifier-free guidance by the step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from clipcond.errors import UnsupportedPipelineError
from clipcond.families.finding import call_arguments, family_of_pipeline
from clipcond.hooks.guidance import Guidance, Interval, Scale
from clipcond.hooks.session import acting


@contextmanager
def guidance(
    pipe: Any, *, interval: Interval = (0.0, 1.0), scale: Scale | None = None
) -> Iterator[None]:
    """Meanwhile, calls of the pipeline guide within an interval of their steps only, or with a scale that changes.

    Outside the interval the unconditional half is not computed: exactly what the pipeline's own guidance with a scale of 1
    gives, for half the work (but a ControlNet's, which reads both sides all the same).

        with clipcond.guidance(pipe, interval=(0.2, 0.8)):
            images = pipe("a fox", num_inference_steps=20).images

    Args:
        pipe: of one of the families of docs/pipelines.md, called with a guidance scale above 1.
        interval: the shares of the executed steps from which and up to which to guide.
        scale: in place of the pipeline's own within the interval: a number, a function of the share of the run that lies
            behind (0 to 1), or a table whose entries last equally long.

    Raises:
        ClipcondError: numbers that make no sense; another `guidance` acts already; or, when it draws, the pipeline does
            not guide.
        UnsupportedPipelineError: not such a pipeline, or one that guides by perturbed attention, or by several scales.
    """
    family = family_of_pipeline(pipe)
    if scale is not None and "image_guidance_scale" in call_arguments(pipe):
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} guides with two scales; take interval= without scale="
        )
    with acting(pipe, family, "guidance", Guidance(interval, scale)):
        yield
