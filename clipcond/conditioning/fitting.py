"""Whether a conditioning is for a pipeline."""

from collections.abc import Mapping
from typing import Any

from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.families.contract import Family
from clipcond.families.finding import family_of_pipeline
from clipcond.families.inputs import Inputs, Sides
from clipcond.identity import Fingerprint, fingerprint


def check_fits(
    pipe: Any, family: Family, width: int, made_by: Mapping[str, Fingerprint | None]
) -> None:
    """Whether a pipeline reads states of a family and width, and has no other text encoders than those that made them.

    Raises:
        UnsupportedPipelineError: it does not, or has.
    """
    if family.denoiser in pipe.components and getattr(pipe, family.denoiser) is None:
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} has no {family.denoiser} to hand tensors to: pass the pipeline that draws"
        )
    own = {slot: getattr(pipe, slot, None) for slot in made_by}
    if any(module is not None for module in own.values()):
        found = family_of_pipeline(pipe).name
    else:
        denoiser = getattr(pipe, family.denoiser, None)
        fits = family.denoises(denoiser)
        found = family.name if fits else type(pipe).__name__
    fits = found == family.name
    reads = family.width_in(getattr(pipe, family.reading_slot).config) if fits else 0
    if not fits or reads != width:
        raise UnsupportedPipelineError(
            f"this conditioning is {width} wide for {family.name}; "
            f"{type(pipe).__name__} reads {f'{reads} wide states of {found}' if reads else found}: condition with "
            "a Conditioner of this very pipeline"
        )
    for slot, module in own.items():
        then, now = made_by[slot], None if module is None else fingerprint(module)
        if then and now and not then.matches(now):
            raise UnsupportedPipelineError(
                f"this conditioning was made by another {slot} than {type(pipe).__name__} has (its weights "
                "differ): condition with a Conditioner of this very pipeline"
            )


def check_places(pipe: Any, family: Family, sides: Sides[Inputs]) -> None:
    """Whether the denoiser has a position for each token: diffusers fails on one that has none.

    Raises:
        ClipcondError: it has not.
    """
    if family.places is None:
        return
    places = family.places(getattr(pipe, family.denoiser).config)
    longest = max(inputs.longest for inputs in sides.values())
    if longest > places:
        raise ClipcondError(
            f"the prompt takes {longest} tokens with what stands around it, and the denoiser of {family.name} has positions for "
            f"{places}: shorten it"
        )
