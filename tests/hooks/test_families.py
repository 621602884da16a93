"""Every pipeline that can be conditioned: prompts that change over its steps, guidance by the step, and AND."""

from dataclasses import replace

import numpy as np
import pytest

import clipcond
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from tests.hooks.drawing import (
    OWN,
    attached,
    by_hand,
    case,
    conditioned,
    distance,
    draw,
    recorded,
    same,
    says,
)
from tests.zoo.support import SUPPORTED

NEGATIVE = "a dog"
CAT, CHANGING, NEVER = "a photo of a cat", "a photo of a [cat:fox:2]", "a photo of a [cat:fox:99]"
ITSELF = "a photo of a cat :0.5 AND a photo of a cat :0.5"
CLOSE = 1e-4  # another number of rows changes last bits
QUICK = {
    "sd1",
    "sdxl",
    "flux",
    "Wan of two",
    "HunyuanVideoPipeline",
    "PixArtSigmaPipeline",
}
# whose denoisers are handed no text that could change
ONCE = {
    "LEditsPPPipelineStableDiffusion": "its texts are edits of a picture",
    "StableDiffusionLatentUpscalePipeline": "a part of its text stands behind the noise level",
    "ZImageOmniPipeline": "its texts are in pieces, with pictures between them",
    **{
        name: "its denoiser reads what connectors made of the text before the run"
        for name, family in SUPPORTED.items()
        if family == "LTX-2"
    },
    "StableAudioPipeline": "its denoiser reads what a projection made of the text before the run",
}
# each of whose stages or sections is a run of its own, of one step here
STAGES = {"HeliosPyramidPipeline"}
NONE, PERTURBED = "reads none", "perturbed attention"
# who do not guide as they are called here, and the reason that is given
UNGUIDED = {
    **dict.fromkeys([name for name in SUPPORTED if "PAG" in name], PERTURBED),
    **dict.fromkeys(
        [name for name, family in SUPPORTED.items() if family == "Flux.1"], NONE
    ),  # distilled
    "Flux2Pipeline": NONE,
    "ZImageOmniPipeline": "in pieces",
    "LTX2DFRPipeline": NONE,
    "LTX2DFRTemporalRefinePipeline": NONE,
    **{
        name: "more than a negative prompt"
        for name, family in SUPPORTED.items()
        if family == "LTX-2" and "DFR" not in name and "HDR" not in name
    },
    "Flux2KleinKVPipeline": NONE,
    "SanaSprintPipeline": NONE,
    "SanaSprintImg2ImgPipeline": NONE,
    "LatentConsistencyModelImg2ImgPipeline": NONE,
    "LatentConsistencyModelPipeline": NONE,
    "LEditsPPPipelineStableDiffusion": NONE,
    "AnyFlowFARPipeline": NONE,
    "AnyFlowPipeline": NONE,
    "HeliosPipeline": NONE,
    "HeliosPyramidPipeline": NONE,
    "StableAudio3AudioToAudioPipeline": NONE,
    "StableAudio3InpaintPipeline": NONE,
    "StableCascadeCombinedPipeline": NONE,  # its decoder
    "WanAnimatePipeline": NONE,
}
# who guide, and compose nothing
UNCOMPOSED = {
    "ZImageOmniPipeline": "no text that could change",
    "CosmosVideoToWorldPipeline": "other pictures",
    "Cosmos2_5_TransferPipeline": "other pictures",
    "Kandinsky5I2VPipeline": "without padding",
    "Kandinsky5T2IPipeline": "without padding",
    "Kandinsky5T2VPipeline": "without padding",
    "Kandinsky6TI2VAPipeline": "without padding",
    **{
        name: "without padding"
        for name, family in SUPPORTED.items()
        if family.startswith("Qwen-Image") or family in ("Fibo 2", "Nucleus-Image")
    },
    **{
        name: "no text that could change" for name, family in SUPPORTED.items() if family == "LTX-2"
    },
    "StableAudioPipeline": "no text that could change",
    "StableDiffusionLatentUpscalePipeline": "no text that could change",
    "LEditsPPPipelineStableDiffusion": "no text that could change",
}
# whose sides differ in more than what a denoiser reads of texts
OTHERWISE = {
    "QwenImage21Pipeline": "in how many of their positions may be a picture's",
    "NucleusMoEImagePipeline": "in the tokens that its experts choose",
    "CosmosVideoToWorldPipeline": "in the noise on the pictures before",
    "HiDreamImagePipeline": "in the experts that rounding chooses",
    "HunyuanDiTControlNetPipeline": "in the control picture, which is sampled for each row",
    "StableAudioPipeline": "its negative side is zeros",
    "StableDiffusion3ControlNetPipeline": "in the control picture, which is sampled for each row",
    "StableUnCLIPImg2ImgPipeline": "in the picture, which only the prompts have",
    "StableDiffusionInstructPix2PixPipeline": "there are three",
    "StableDiffusionXLInstructPix2PixPipeline": "there are three",
}
# whose second pipeline is handed what the first one drew, of another number of rows
NEARLY = {"StableCascadeCombinedPipeline"}
# by default they draw without guidance, and read a negative prompt all the same
WITHOUT_NEGATIVE = {"AnyFlowPipeline", "AnyFlowFARPipeline"}
ALL = [
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in (*OWN, *SUPPORTED)
]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in (*OWN, *SUPPORTED)]
pytestmark = pytest.mark.filterwarnings("ignore")


def negative_of(name, pipe, made):
    """A negative prompt, where the pipeline takes one."""
    if name in WITHOUT_NEGATIVE:
        return None
    try:
        conditioned(pipe, made, CAT, NEGATIVE).kwargs_for(pipe)
    except UnsupportedPipelineError:
        return None
    return NEGATIVE


@pytest.mark.parametrize("name", [name for name in ALL if getattr(name, "values", ("",))[0] not in ONCE])  # fmt: skip
def test_a_schedule_draws_what_its_states_draw_by_hand(name):
    made = case(name)
    pipe = made.build()
    negative = negative_of(name, pipe, made)
    changing = conditioned(pipe, made, CHANGING, negative)
    first, second = says(changing, 0).kwargs_for(pipe), says(changing, 1).kwargs_for(pipe)
    drawn = attached(made.build(), made, changing)
    plain = draw(made.build(), made.call(), **first)
    assert all(np.isfinite(array).all() for array in drawn)
    if name in STAGES:
        assert same(drawn, plain)
        return
    expected = by_hand(made.build, made.call, first, second, looks=2)
    if name in NEARLY:
        assert distance(drawn, expected) < CLOSE
    else:
        assert same(drawn, expected)
    assert not same(drawn, plain)
    never = conditioned(pipe, made, NEVER, negative)
    assert never.is_dynamic
    assert same(attached(made.build(), made, never), plain)


@pytest.mark.parametrize("name", ["Lumina2Pipeline", "QwenImagePipeline", "ErnieImagePipeline", "ZImagePipeline", "SanaPipeline"])  # fmt: skip
@pytest.mark.pitfall(46)
def test_what_a_prompt_says_may_be_of_several_lengths(name):
    made = case(name)
    pipe = made.build()
    changing = conditioned(pipe, made, "a photo of a [big red cat on a hat:fox:2]", NEGATIVE)
    first, second = says(changing, 0).kwargs_for(pipe), says(changing, 1).kwargs_for(pipe)
    expected = by_hand(made.build, made.call, first, second, looks=2)
    assert distance(attached(made.build(), made, changing), expected) < CLOSE


def test_a_denoiser_that_keeps_what_it_read_first_is_told():
    made = case("QwenImage21Pipeline")
    pipe = made.build()
    changing = conditioned(pipe, made, CHANGING, NEGATIVE)
    with (
        pytest.raises(UnsupportedPipelineError, match="what changes acts where use_kv_cache=False"),
        changing.attached(pipe),
    ):
        pipe(**made.call() | changing.kwargs_for(pipe) | {"use_kv_cache": True})


@pytest.mark.parametrize("name", ONCE)
@pytest.mark.slow
def test_texts_that_are_read_once_cannot_change(name):
    made = case(name)
    pipe = made.build()
    changing = conditioned(pipe, made, CHANGING)
    with (
        pytest.raises(UnsupportedPipelineError, match="no text that could change"),
        changing.attached(pipe),
    ):
        pass


@pytest.mark.parametrize("name", SLOW)
def test_outside_the_interval_both_sides_are_what_the_prompt_predicts(name):
    made = case(name)
    pipe = made.build()
    conditioning = conditioned(pipe, made, CAT, negative_of(name, pipe, made))
    kwargs = conditioning.kwargs_for(pipe)
    if name in UNGUIDED:
        with (
            pytest.raises(ClipcondError, match=UNGUIDED[name]),
            clipcond.guidance(pipe, interval=(0, 0.5)),
        ):
            draw(pipe, made.call(), **kwargs)
        return
    with recorded(pipe) as usual:
        own = draw(pipe, made.call(), **kwargs)
    pipe = made.build()
    with clipcond.guidance(pipe, interval=(0, 0.5)), recorded(pipe) as calls:
        drawn = draw(pipe, made.call(), **kwargs)
    assert sum(read.rows for read in calls) < sum(read.rows for read in usual)
    assert all(np.isfinite(array).all() for array in drawn)
    assert not same(drawn, own)
    if conditioning.negative_given and name not in OTHERWISE:
        both = replace(conditioning, negative=conditioning.positive).kwargs_for(pipe)
        expected = by_hand(made.build, made.call, kwargs, both, looks=2)
        size = max(1.0, *(float(np.abs(array).max()) for array in expected))
        assert distance(drawn, expected) < CLOSE * size


@pytest.mark.parametrize("name", SLOW)
def test_a_prompt_composed_with_itself_draws_what_it_draws(name):
    made = case(name)
    pipe = made.build()
    conditioning = conditioned(pipe, made, ITSELF, negative_of(name, pipe, made))
    refused = {**UNGUIDED, **UNCOMPOSED}.get(name)
    if refused:
        with pytest.raises(ClipcondError, match=refused):
            attached(pipe, made, conditioning)
        return
    expected = draw(made.build(), made.call(), **says(conditioning, 0).kwargs_for(pipe))
    size = max(1.0, *(float(np.abs(array).max()) for array in expected))
    assert distance(attached(made.build(), made, conditioning), expected) < CLOSE * size
