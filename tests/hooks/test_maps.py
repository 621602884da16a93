"""Attention maps: what the denoiser's own attention says, of the right picture and text, and nothing else changes."""

import re
import threading
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention as DiffusersAttention
from PIL import Image
from torch.nn import functional as F

import clipcond
from clipcond import Conditioner
from clipcond.errors import ClipcondError, UnsupportedPipelineError
from clipcond.hooks.attention import Attention, attending
from clipcond.hooks.looking import LAYOUTS, bounded, ranges
from tests import doubles
from tests.hooks.test_attention import denoiser, traces
from tests.zoo import ZOO

EACH = ("sd1", "sdxl", "sd3", "flux")


def draw(pipe: Any, conditioning: Any, pictures: int = 1, **options: Any) -> list[Image.Image]:
    given = dict(
        num_inference_steps=2, generator=torch.Generator().manual_seed(0), output_type="np"
    )
    kwargs = conditioning.kwargs_for(pipe, pictures)
    return pipe(**kwargs, **{**given, **options}).images


@pytest.mark.parametrize("name", EACH)
def test_pictures_are_the_same_and_nothing_stays(name):
    pipe = doubles.BUILDERS[name]()
    both = Conditioner.from_pipeline(pipe)(["a cat and a fox", "a dog"])
    size = dict(height=32, width=32) if name in ("sd3", "flux") else {}
    plain, before = draw(pipe, both, **size), traces(denoiser(pipe))
    kind = type(pipe)
    with clipcond.attention_maps(pipe) as maps:
        watched = draw(pipe, both, **size)
    assert np.array_equal(plain, watched)
    assert before == traces(denoiser(pipe))
    assert type(pipe) is kind
    found = maps.of("fox")
    assert found.dtype == torch.float32
    assert found.shape[0] == 2
    assert 0 < found[0].min() <= found[0].max() < 1
    assert not found[1].any()  # a picture whose prompt does not have it
    everything = sum(maps.of(word) for word in ("a", "cat", "and", "fox"))
    assert (everything[0] < 1).all()


class ByHand:
    """A processor as diffusers had them before torch attended by itself; it keeps the shares."""

    def __init__(self) -> None:
        self.kept: list[torch.Tensor] = []

    def __call__(
        self,
        attn: DiffusersAttention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        read = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            attn.head_to_batch_dim(part)
            for part in (attn.to_q(hidden_states), attn.to_k(read), attn.to_v(read))
        )
        shares = attn.get_attention_scores(query, key, attention_mask)
        if encoder_hidden_states is not None:
            self.kept.append(shares.unflatten(0, (len(read), -1)))  # rows, heads
        made = attn.batch_to_head_dim(shares @ value)
        return attn.to_out[1](attn.to_out[0](made))


@pytest.mark.parametrize("heads", [(), (0,)])
def test_a_map_is_the_mean_of_what_attention_computes(heads):
    pipe = doubles.sd1()
    conditioning = Conditioner.from_pipeline(pipe)("a (fox:1.3) and a cat, a fox")
    with clipcond.attention_maps(pipe, heads=heads) as maps:
        draw(pipe, conditioning)
    hand = ByHand()
    pipe.unet.set_attn_processor(hand)
    draw(pipe, conditioning)
    assert len(hand.kept) >= 4  # layers of two steps
    expected = []
    for shares in hand.kept:
        row = shares[1]  # the prompt's; the negative one's is first
        row = row[list(heads)] if heads else row
        own = row.mean(0)[:, [2, 8]].sum(1)  # both foxes
        side = round(len(own) ** 0.5)
        expected.append(F.interpolate(own.view(1, 1, side, side), (8, 8), mode="bilinear")[0, 0])
    torch.testing.assert_close(maps.of("fox")[0], torch.stack(expected).mean(0))


JOINT = {
    **{name: doubles.BUILDERS[name] for name in ("sd3", "flux")},
    **{name: ZOO[name].build for name in ("ChromaPipeline", "BriaPipeline", "CogView3PlusPipeline", "IFPipeline")},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", JOINT)
def test_text_is_where_keys_do_not_depend_on_the_picture(name):
    """In the first attention, which nothing of the picture has come into the text's positions before."""
    pipe = JOINT[name]()
    conditioning = Conditioner.from_pipeline(pipe)("a cat and a fox")
    call = ZOO[name].call() if name in ZOO else {}
    layout, length = LAYOUTS[conditioning.family], conditioning.prompt_embeds.shape[1]
    firsts: list[Attention] = []
    for seed in (0, 1):
        seen: list[Attention] = []

        def look(attention: Attention, seen: list[Attention] = seen) -> torch.Tensor | None:
            if ranges(attention, layout, length, None):
                seen.append(attention)
            return attention.mask

        kwargs = dict(call, generator=torch.Generator().manual_seed(seed))
        with attending(denoiser(pipe), look):
            pipe(**conditioning.kwargs_for(pipe), **{"num_inference_steps": 1, **kwargs})
        firsts.append(seen[0])
    where = ranges(firsts[0], layout, length, None)
    assert where is not None
    one, other = (attention.key for attention in firsts)
    same = (one == other).all(-1).all(1).all(0)
    assert same[where.text].all()
    assert int(same.sum()) == length
    query, rest = (attention.query for attention in firsts)
    assert not (query == rest).all(-1).all(1)[:, where.places].any()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    ["PixArtAlphaPipeline", "WanPipeline", "LattePipeline", "AllegroPipeline", "CosmosTextToWorldPipeline",
     "Kandinsky3Pipeline", "IFPipeline", "ChromaPipeline", "BriaPipeline", "CogView3PlusPipeline",
     "AnimateDiffPipeline", "StableDiffusionControlNetPipeline", "StableDiffusionXLImg2ImgPipeline"],
)  # fmt: skip
def test_every_family_has_maps(name):
    entry = ZOO[name]
    pipe = entry.build()
    conditioning = Conditioner.from_pipeline(pipe)("a cat and a fox")
    with clipcond.attention_maps(pipe) as maps:
        pipe(**conditioning.kwargs_for(pipe), **entry.call())
    found = maps.of("fox")
    assert len(found) == 1
    assert 0 < found.min() <= found.max() < 1


def test_other_families_are_refused():
    pipe = ZOO["HunyuanDiTPipeline"].build()
    with pytest.raises(UnsupportedPipelineError, match="HunyuanDiT"), clipcond.attention_maps(pipe):
        pass


def test_each_picture_has_its_own_map():
    pipe = doubles.sd1()
    conditioner = Conditioner.from_pipeline(pipe)
    noise = torch.randn(4, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    with clipcond.attention_maps(pipe) as maps:
        draw(pipe, conditioner(["a fox and a cat", "a cat"]), 2, latents=noise)
        cats, foxes = maps.of("cat"), maps.of("fox")
        assert not foxes[2:].any()
        for number, prompt in enumerate(["a fox and a cat"] * 2 + ["a cat"] * 2):
            draw(pipe, conditioner(prompt), latents=noise[number : number + 1])
            torch.testing.assert_close(maps.of("cat")[0], cats[number], atol=1e-6, rtol=1e-4)


def test_a_word_of_a_schedule_has_the_mean_of_its_steps():
    pipe = doubles.sd1()
    conditioner = Conditioner.from_pipeline(pipe)
    changing, fox = conditioner("[fox:cat:2] hat"), conditioner("fox hat")
    with clipcond.attention_maps(pipe) as maps, changing.attached(pipe):
        draw(pipe, changing, num_inference_steps=4)
        found, cat, hat = maps.of("fox"), maps.of("cat"), maps.of("hat")
    with clipcond.attention_maps(pipe, steps=(0.0, 0.5)) as maps:
        draw(pipe, fox, num_inference_steps=4)
    torch.testing.assert_close(found, maps.of("fox"))
    with clipcond.attention_maps(pipe, steps=(0.5, 1.0)) as maps, changing.attached(pipe):
        draw(pipe, changing, num_inference_steps=4)
        torch.testing.assert_close(cat, maps.of("cat"))
        late = maps.of("hat")
        with pytest.raises(ClipcondError, match="steps"):
            maps.of("fox")
    with clipcond.attention_maps(pipe, steps=(0.0, 0.5)) as maps, changing.attached(pipe):
        draw(pipe, changing, num_inference_steps=4)
        torch.testing.assert_close(hat, (maps.of("hat") + late) / 2)


def test_composed_prompts_keyframes_and_a_guidance_interval():
    pipe = doubles.sd1()
    conditioner = Conditioner.from_pipeline(pipe)
    both = conditioner("a fox AND a cat")
    plain = draw_attached(pipe, both)
    with clipcond.attention_maps(pipe) as maps:
        assert np.array_equal(plain, draw_attached(pipe, both))
        assert maps.of("fox").shape == maps.of("cat").shape == (1, 8, 8)
        slowly = clipcond.schedule([(0.0, conditioner("a fox")), (0.5, conditioner("a cat"))])
        draw_attached(pipe, slowly)
        assert maps.of("fox").any()
        assert maps.of("cat").any()
        with clipcond.guidance(pipe, interval=(0.5, 1.0)):
            draw_attached(pipe, both)
    assert maps.of("fox").any()


def draw_attached(pipe: Any, conditioning: Any) -> list[Image.Image]:
    with conditioning.attached(pipe):
        return draw(pipe, conditioning)


def test_strings_that_someone_reads_have_maps_and_others_say_what_to_do():
    pipe = doubles.sd1()
    given = dict(num_inference_steps=1, output_type="np")
    with clipcond.attention_maps(pipe) as maps:
        with pytest.raises(ClipcondError, match="nothing was drawn"):
            maps.of("fox")
        pipe("a fox", **given)
        with pytest.raises(ClipcondError, match="kwargs_for"):
            maps.of("fox")
        with Conditioner.from_pipeline(pipe).installed(pipe):
            pipe("a (fox:1.2)", **given)
            assert maps.of("fox").any()
        draw(pipe, Conditioner.from_pipeline(pipe)("a fox"))
        assert maps.of("fox").any()
        pipe("a cat", **given)  # not what was drawn before
        with pytest.raises(ClipcondError, match="kwargs_for"):
            maps.of("fox")


def test_what_is_kept_is_bounded():
    pipe = doubles.flux()
    conditioning = Conditioner.from_pipeline(pipe)("a fox")
    with clipcond.attention_maps(pipe) as maps:
        draw(pipe, conditioning, num_inference_steps=1)
        kept = maps.nbytes
        draw(pipe, conditioning, height=32, width=32)
        assert maps.nbytes == 4 * 512 * 16 * 16
    assert kept == 4 * 512 * 64 * 64
    assert bounded(torch.ones(3, 128, 96)).shape == (3, 64, 48)
    assert bounded(torch.ones(3, 64, 48)).shape == (3, 64, 48)


def test_a_wide_picture_has_a_wide_map():
    pipe = doubles.flux()
    conditioning = Conditioner.from_pipeline(pipe)("a fox")
    with clipcond.attention_maps(pipe) as maps:
        draw(pipe, conditioning, height=8, width=16, num_inference_steps=1)
    assert maps.of("fox").shape == (1, 4, 8)
    pipe = doubles.sd1()
    conditioning = Conditioner.from_pipeline(pipe)("a fox")
    with clipcond.attention_maps(pipe) as maps:
        draw(pipe, conditioning, height=16, width=32)
    assert maps.of("fox").shape == (1, 4, 8)


def test_overlays_are_pictures():
    pipe = doubles.sd1()
    conditioning = Conditioner.from_pipeline(pipe)("a fox")
    with clipcond.attention_maps(pipe) as maps:
        images = draw(pipe, conditioning, 2, output_type="pil")
    shown = maps.overlay("fox", images)
    assert [image.size for image in shown] == [(32, 32)] * 2
    assert not np.array_equal(np.asarray(shown[0]), np.asarray(images[0]))
    with pytest.raises(ClipcondError, match="1 pictures"):
        maps.overlay("fox", images[:1])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(layers="up"), "down_blocks"),
        (dict(steps=(0.5, 0.2)), "rising"),
        (dict(heads=[-1]), "from 0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, says):
    options = {**options, "layers": "nothing"} if "layers" in options else options
    with (
        pytest.raises(ClipcondError, match=says),
        clipcond.attention_maps(doubles.sd1(), **options),
    ):
        pass


def test_layers_are_chosen_by_how_their_names_begin():
    pipe = doubles.sd1()
    conditioning = Conditioner.from_pipeline(pipe)("a fox")
    found = []
    for layers in ("down_blocks", ["mid_block", "up_blocks"], ()):
        with clipcond.attention_maps(pipe, layers=layers) as maps:
            draw(pipe, conditioning)
        found.append(maps.of("fox"))
    assert not torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    with pytest.raises(ClipcondError, match="heads"), clipcond.attention_maps(pipe, heads=[9]):
        draw(pipe, conditioning)


def test_an_exception_leaves_nothing_and_a_second_one_is_refused():
    pipe = doubles.sd1()
    pipe.enable_attention_slicing(1)
    conditioning = Conditioner.from_pipeline(pipe)("a fox")
    before = traces(pipe.unet)
    with pytest.raises(UnsupportedPipelineError, match="slicing"), clipcond.attention_maps(pipe):
        draw(pipe, conditioning)
    assert before == traces(pipe.unet)
    assert type(pipe).__module__.startswith("diffusers")
    with (
        clipcond.attention_maps(pipe),
        pytest.raises(ClipcondError, match="maps"),
        clipcond.attention_maps(pipe),
    ):
        pass


def test_each_thread_sees_its_own():
    pipe = doubles.sd1()
    conditioner = Conditioner.from_pipeline(pipe)
    texts = {"fox": conditioner("a fox"), "cat": conditioner("a cat")}
    alone, together = {}, {}
    gate = threading.Barrier(2)
    with clipcond.attention_maps(pipe) as maps:
        for word, conditioning in texts.items():
            draw(pipe, conditioning)
            alone[word] = maps.of(word)

        def work(word: str) -> None:
            scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
            own = type(pipe)(
                **{**pipe.components, "scheduler": scheduler}, requires_safety_checker=False
            )
            own.set_progress_bar_config(disable=True)
            with clipcond.attention_maps(own) as mine:
                gate.wait()
                draw(own, texts[word])
                gate.wait()
                together[word] = mine.of(word)

        threads = [threading.Thread(target=work, args=(word,)) for word in texts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for word in texts:
        torch.testing.assert_close(alone[word], together[word])


def test_a_notebook_shows_each_word_s_maps_and_escapes_it():
    pipe = doubles.BUILDERS["sd1"]()
    conditioning = Conditioner.from_pipeline(pipe, dialect="plain")(["a fox, x<i>y", "a dog"])
    with clipcond.attention_maps(pipe) as maps:
        assert "nothing was drawn yet" in maps._repr_html_()
        draw(pipe, conditioning)
    html = maps._repr_html_()
    assert re.findall(r"<p><b>(.*?)</b></p>", html) == ["a", "fox", "x&lt;i&gt;y", "dog"]
    assert html.count("data:image/png") == 2 * 4
    assert "<i>" not in html
    assert f"at most {maps.of('fox')[0].max():.1%}" in html
    with clipcond.attention_maps(pipe) as maps:
        pipe("a fox", num_inference_steps=1, output_type="np")
    assert "was called with strings" in maps._repr_html_()
