"""Regions on tiny pipelines of every way that they are said: across, jointly, and by noise."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import accelerate
import pytest
import torch
from PIL import Image
from torch import nn

import clipcond
from clipcond import Conditioner, Conditioning, Region
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.families.finding import family_named
from clipcond.hooks.interception import intercepted
from clipcond.hooks.program import plain
from clipcond.hooks.rows import tensors
from tests import doubles
from tests.zoo import ZOO

pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' own
FAR = 1e-4
WHOLE, LEFT, RIGHT = (0, 0, 1, 1), (0, 0, 0.5, 1), (0.5, 0, 1, 1)
# of one length by any tokenizer, for families that take no others
ALIKE = ("a fox, a dog, a cat", "a dog, a cat, a fox", "a cat, a fox, a dog")


@dataclass(frozen=True)
class Way:
    """A pipeline, what its call needs, the columns of its noisy pictures, and what is said."""

    build: Callable[[], Any]
    call: dict[str, Any]
    columns: int
    texts: tuple[str, str, str] = ("a red fox", "two big dogs", "cat, house")

    @property
    def fox(self) -> str:
        return self.texts[0]

    @property
    def dog(self) -> str:
        return self.texts[1]

    @property
    def cat(self) -> str:
        return self.texts[2]


def _own(name: str, columns: int) -> Way:
    call = dict(height=32, width=2 * columns, num_inference_steps=2, output_type="latent")
    return Way(doubles.BUILDERS[name], call, columns)


def _of_zoo(name: str, columns: int) -> Way:
    call = {key: value for key, value in ZOO[name].call().items() if key != "generator"}
    return Way(ZOO[name].build, call, columns)


ACROSS = {"sd1": _own("sd1", 8), "sdxl": _own("sdxl", 8)}
JOINT = {"sd3": _own("sd3", 8), "flux": _own("flux", 8)}
NOISE = {
    "PixArt": _of_zoo("PixArtAlphaPipeline", 8),
    "Wan": _of_zoo("WanPipeline", 2),
    "Cascade": _of_zoo("StableCascadePriorPipeline", 3),
    "Kandinsky3": replace(_of_zoo("Kandinsky3Pipeline", 8), texts=ALIKE),
    "Chroma": _of_zoo("ChromaPipeline", 8),
    "Bria": _of_zoo("BriaPipeline", 4),
    "Kandinsky5": replace(_of_zoo("Kandinsky5T2IPipeline", 4), texts=ALIKE),
}
ALL = ACROSS | JOINT | NOISE


@cache
def built(name: str) -> Any:
    """A pipeline that many tests draw with, as each leaves it as it was."""
    return ALL[name].build()


def conditioned(pipe: Any, way: Way, prompt: Any, **more: Any) -> Conditioning:
    length = way.call.get("max_sequence_length")
    options = {"max_sequence_length": length} if length else {}
    return Conditioner.from_pipeline(pipe)(prompt, negative_prompt=way.cat, **options, **more)


def drawn(
    pipe: Any, way: Way, conditioning: Conditioning, pictures: int = 1, **more: Any
) -> list[torch.Tensor]:
    """What the pipeline was given by its denoiser, call by call, and what it drew."""
    given: list[torch.Tensor] = []

    def around(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        output = own(*args, **kwargs)
        given.append(tensors(output)[0])
        return output

    denoiser = getattr(pipe, family_named(conditioning.family).denoiser)
    with conditioning.attached(pipe), intercepted(denoiser, around):
        last = pipe(
            **conditioning.kwargs_for(pipe, pictures),
            **way.call,
            **{"generator": torch.Generator().manual_seed(3), **more},
        )[0]
    return [*given, torch.as_tensor(last)]


def row_of(conditioning: Conditioning, *rows: int) -> Conditioning:
    """Some of a conditioning's encoded texts, each a prompt."""
    return replace(
        conditioning,
        positive=conditioning.positive.rows(rows),
        scripts={side: plain(len(rows)) for side in conditioning.scripts},
        negative=conditioning.negative and conditioning.negative.rows([0] * len(rows)),
    )


def equal(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return len(ours) == len(theirs) and all(map(torch.equal, ours, theirs))


def close(ours: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(
        torch.allclose(a, b, rtol=1e-4, atol=2e-5 * max(1.0, b.abs().max().item()))
        for a, b in zip(ours, theirs, strict=True)
    )


def far(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """By more than rounding; the texts of some tiny denoisers do little."""
    return (ours - theirs).abs().max().item() > FAR


def halved(predicted: torch.Tensor, way: Way) -> tuple[torch.Tensor, torch.Tensor]:
    """The left and the right half of predictions, without a column in the middle."""
    if predicted.ndim == 3:  # patches
        predicted = predicted.unflatten(1, (-1, way.columns)).movedim(3, 1)
    elif way is NOISE["Kandinsky5"]:  # channels last
        predicted = predicted.movedim(-1, 1)
    half = way.columns // 2
    return predicted[..., :half], predicted[..., -half:]


@pytest.mark.parametrize("name", ALL)
def test_no_regions_are_no_hook(name: str) -> None:
    way = ALL[name]
    pipe = built(name)
    with_none = conditioned(pipe, way, way.fox, regions=[])
    assert not with_none.is_dynamic
    assert equal(drawn(pipe, way, with_none), drawn(pipe, way, conditioned(pipe, way, way.fox)))


@pytest.mark.parametrize("name", ACROSS)
def test_one_whole_region_is_the_prompt_bit_for_bit(name: str) -> None:
    way, pipe = ACROSS[name], built(name)
    said = conditioned(pipe, way, way.fox, regions=[Region(way.fox, box=WHOLE)])
    assert equal(drawn(pipe, way, said), drawn(pipe, way, row_of(said, 0)))


@pytest.mark.pitfall(23)
@pytest.mark.parametrize("name", ALL)
def test_one_whole_region_is_its_prompt(name: str) -> None:
    way = ALL[name]
    pipe = built(name)
    said = conditioned(pipe, way, way.dog, regions=[Region(way.fox, box=WHOLE)])
    fox = row_of(said, 1)
    if (
        name not in NOISE
    ):  # a pooled vector has no places: where the attention reads, it stays the base prompt's
        fox = replace(fox, positive=replace(fox.positive, pooled=row_of(said, 0).positive.pooled))
    ours = drawn(pipe, way, said)
    assert close(ours, drawn(pipe, way, fox))
    assert far(ours[0], drawn(pipe, way, row_of(said, 0))[0])


@pytest.mark.parametrize("name", ALL)
def test_regions_of_no_weight_leave_the_base_prompt(name: str) -> None:
    way = ALL[name]
    pipe = built(name)
    said = conditioned(pipe, way, way.fox, regions=[Region(way.dog, box=LEFT, weight=0)])
    assert close(drawn(pipe, way, said), drawn(pipe, way, row_of(said, 0)))


@pytest.mark.parametrize("name", ACROSS | NOISE)
def test_two_halves_with_one_prompt_are_the_prompt(name: str) -> None:
    way = ALL[name]
    pipe = built(name)
    regions = [Region(way.fox, box=LEFT, weight=0.8), Region(way.fox, box=(0.3, 0, 1, 1))]
    said = conditioned(pipe, way, way.fox, regions=regions)
    assert close(drawn(pipe, way, said), drawn(pipe, way, row_of(said, 0)))


@pytest.mark.parametrize("name", NOISE)
def test_by_noise_each_half_is_predicted_from_its_prompt(name: str) -> None:
    way = NOISE[name]
    pipe = built(name)
    said = conditioned(
        pipe, way, way.cat, regions=[Region(way.fox, box=LEFT), Region(way.dog, box=RIGHT)]
    )
    ours, fox, dog = (
        halved(drawn(pipe, way, one)[0], way) for one in (said, row_of(said, 1), row_of(said, 2))
    )
    assert torch.allclose(ours[0], fox[0], atol=1e-5)
    assert torch.allclose(ours[1], dog[1], atol=1e-5)
    assert far(fox[0], dog[0])


@pytest.mark.parametrize("name", ALL)
def test_a_mask_is_a_box_that_it_paints(name: str) -> None:
    way = ALL[name]
    pipe = built(name)
    picture = Image.new("L", (64, 64))
    picture.paste(255, (0, 0, 32, 64))
    ours, theirs = (
        drawn(pipe, way, conditioned(pipe, way, way.dog, regions=[region]))
        for region in (Region(way.fox, mask=picture), Region(way.fox, box=LEFT))
    )
    assert equal(ours, theirs)


@pytest.mark.parametrize("name", ALL)
def test_each_prompt_of_a_batch_has_its_own_regions(name: str) -> None:
    way = ALL[name]
    pipe = built(name)
    prompts = [way.dog, way.fox, way.dog]
    several = [
        [Region(way.fox, box=LEFT), Region(way.cat, box=(0.25, 0, 1, 0.5), weight=0.5)],
        [],
        [Region(way.cat, box=RIGHT, weight=0.7)],
    ]

    def noise(count: int) -> list[torch.Generator]:
        return [torch.Generator().manual_seed(7) for _ in range(count)]

    said = conditioned(pipe, way, prompts, regions=several)
    together = drawn(pipe, way, said, generator=noise(3))[-1]
    for number in range(3):
        alone = conditioned(pipe, way, prompts[number], regions=several[number])
        picture = drawn(pipe, way, alone, generator=noise(1))[-1]
        assert close([together[number : number + 1]], [picture])


@pytest.mark.parametrize("name", ALL)
def test_several_pictures_of_a_prompt(name: str) -> None:
    way = ALL[name]
    pipe = built(name)
    regions = [[Region(way.fox, box=LEFT)], [Region(way.dog, box=WHOLE, weight=0.6)]]
    twice = [r for r in regions for _ in range(2)]
    ours = drawn(pipe, way, conditioned(pipe, way, [way.dog, way.fox], regions=regions), pictures=2)
    theirs = drawn(
        pipe, way, conditioned(pipe, way, [way.dog, way.dog, way.fox, way.fox], regions=twice)
    )
    assert close(ours, theirs)


@pytest.mark.parametrize("name", ALL)
def test_a_region_has_a_schedule(name: str) -> None:
    way = ALL[name]
    pipe = built(name)
    regions = [Region(f"[{way.fox}:{way.dog}:1]", box=LEFT)]
    said, fox = (
        drawn(pipe, way, conditioned(pipe, way, way.cat, regions=one))
        for one in (regions, [Region(way.fox, box=LEFT)])
    )
    assert close(said[:1], fox[:1])
    second = (len(said) - 1) // 2  # the first call of the second of two steps
    assert far(said[second], fox[second])


@pytest.mark.parametrize("name", ["sd1", "sd3", "PixArt", "Wan"])
def test_guidance_in_an_interval_with_regions(name: str) -> None:
    way = ALL[name]
    pipe = built(name)
    said = conditioned(pipe, way, way.cat, regions=[Region(way.fox, box=LEFT)])
    own = drawn(pipe, way, said)
    with clipcond.guidance(pipe, interval=(0.0, 1.0)):
        assert close(drawn(pipe, way, said), own)
    with clipcond.guidance(pipe, interval=(0.5, 1.0)):
        assert not close(drawn(pipe, way, said)[-1:], own[-1:])


@pytest.mark.parametrize("name", ["sd1", "sd3", "flux", "PixArt"])
def test_an_exception_leaves_nothing(name: str) -> None:
    way = ALL[name]
    pipe = way.build()
    denoiser = getattr(pipe, family_named(Conditioner.from_pipeline(pipe).family.name).denoiser)

    def state() -> list[Any]:
        return [
            (type(m), dict(m._forward_hooks), dict(m._forward_pre_hooks))
            for m in denoiser.modules()
        ]

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    before = state()
    said = conditioned(pipe, way, way.cat, regions=[Region(way.fox, box=LEFT)])
    last = [m for m in denoiser.modules() if isinstance(m, nn.Linear)][-1]
    handle = last.register_forward_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        drawn(pipe, way, said)
    handle.remove()
    assert state() == before


@pytest.mark.parametrize("name", ["sd1", "sd3", "flux"])
def test_an_offloaded_denoiser(name: str) -> None:
    way = ALL[name]
    pipe = way.build()
    said = conditioned(pipe, way, way.cat, regions=[Region(way.fox, box=LEFT)])
    own = drawn(pipe, way, said)
    accelerate.cpu_offload(getattr(pipe, family_named(said.family).denoiser), torch.device("cpu"))
    assert close(drawn(pipe, way, said), own)


def test_the_repr_tells_the_way() -> None:
    for name, how in {"sd1": "attention", "flux": "attention", "PixArt": "noise"}.items():
        way, pipe = ALL[name], built(name)
        said = conditioned(pipe, way, way.cat, regions=[Region(way.fox, box=LEFT)])
        assert f"1 region by {how}" in repr(said)
        assert "region" not in repr(conditioned(pipe, way, way.cat))


def test_a_film_as_a_sequence_is_refused() -> None:
    way = _of_zoo("LTXPipeline", 1)
    pipe = way.build()
    said = conditioned(pipe, way, way.cat, regions=[Region(way.fox, box=LEFT)])
    with pytest.raises(UnsupportedPipelineError, match="LTXPipeline reads a sequence"):
        drawn(pipe, way, said)


def test_a_sequence_with_another_picture_is_refused() -> None:
    way = _of_zoo("FluxKontextPipeline", 1)
    pipe = way.build()
    said = conditioned(pipe, way, way.cat, regions=[Region(way.fox, box=LEFT)])
    with pytest.raises(UnsupportedPipelineError, match="not those of one picture of 16 x 16"):
        drawn(pipe, way, said)


@pytest.mark.parametrize("name", ["PixArtSigmaPAGPipeline", "StableDiffusion3PAGPipeline"])
def test_perturbed_attention_is_refused(name: str) -> None:
    way = _of_zoo(name, 1)
    pipe = way.build()
    said = conditioned(pipe, way, way.cat, regions=[Region(way.fox, box=LEFT)])
    with pytest.raises(UnsupportedPipelineError, match="regions act where pag_scale is 0"):
        drawn(pipe, way, said)


def test_attention_maps_are_refused_where_regions_are_read_by_attention() -> None:
    way = ALL["sd1"]
    pipe = built("sd1")
    said = conditioned(pipe, way, way.cat, regions=[Region(way.fox, box=LEFT)])
    with (
        clipcond.attention_maps(pipe),
        pytest.raises(ClipcondError, match="without regions, or without attention_maps"),
    ):
        drawn(pipe, way, said)
