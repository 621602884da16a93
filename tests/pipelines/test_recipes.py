"""Every recipe runs on tiny parts: as functions, and as a program from its own folder."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from clipcond import Conditioner
from pipelines import (
    clip_t5_unet,
    flux,
    flux2,
    qwen_image,
    sana,
    sd3,
    sd15,
    sdxl,
    tiny,
    z_image,
)

FOLDER = Path(sd15.__file__).parent
SMALL = {"num_inference_steps": 2, "height": 32, "width": 32}


def test_sdxl_with_a_style_and_the_refiner(capsys):
    base, refiner = tiny.sdxl(), tiny.refiner()
    both = sdxl.generate(base, "a (red:1.3) cat", num_images=2, **SMALL)
    second = sdxl.generate(base, "a (red:1.3) cat", seed=1, **SMALL)[0]
    assert both[1].tobytes() == second.tobytes() != both[0].tobytes()
    styled = sdxl.generate(base, "a (red:1.3) cat", style="sky", **SMALL)[0]
    assert styled.tobytes() != both[0].tobytes()
    refined = sdxl.generate(
        base, "a (red:1.3) cat", "bad", refiner=refiner, **{**SMALL, "num_inference_steps": 5}
    )
    assert refined[0].size == (32, 32)
    assert "red(1.3)" in capsys.readouterr().out


@pytest.mark.parametrize("t5", [True, False])
def test_sd3(t5):
    pipe = tiny.sd3(t5=t5)
    images = sd3.generate(pipe, "a (red:1.3) cat " * 40, "bad", num_images=2, **SMALL)
    assert [image.size for image in images] == [(32, 32), (32, 32)]


def test_flux():
    size = {"num_inference_steps": 2, "height": 16, "width": 16}
    plain = flux.generate(tiny.flux(), "a (red:1.3) cat", num_images=2, **size)
    guided = flux.generate(tiny.flux(), "a (red:1.3) cat", "bad", true_cfg_scale=3.0, **size)
    assert plain[0].tobytes() != guided[0].tobytes()
    with pytest.raises(ValueError, match="only with true_cfg_scale over 1"):
        flux.generate(tiny.flux(), "a cat", "bad", **size)


def test_qwen_image(capsys):
    plain, _ = qwen_image.generate(tiny.qwen_image(), "a (red:1.3) cat", num_images=2, **SMALL)
    guided = qwen_image.generate(tiny.qwen_image(), "a (red:1.3) cat", "bad", **SMALL)[0]
    assert plain.tobytes() != guided.tobytes()
    assert "red(1.3)" in capsys.readouterr().out


def test_z_image_and_sana_change_over_the_steps():
    for recipe, build in ((z_image, tiny.z_image), (sana, tiny.sana)):
        guided = {"negative_prompt": "bad", "guidance_scale": 3.0, **SMALL}
        cat, fox, both = (
            recipe.generate(build(), text, **guided)[0]
            for text in ("a (cat:1.3)", "a (fox:1.3)", "a ([cat:fox:1]:1.3)")
        )
        assert len({cat.tobytes(), fox.tobytes(), both.tobytes()}) == 3
    with pytest.raises(ValueError, match="only with a guidance_scale over 0"):
        z_image.generate(tiny.z_image(), "a cat", "bad", **SMALL)


def test_flux2():
    plain, _ = flux2.generate(tiny.flux2(), "a (red:1.3) cat", num_images=2, **SMALL)
    guided = flux2.generate(tiny.flux2(), "a (red:1.3) cat", "bad", guidance_scale=3.0, **SMALL)[0]
    assert plain.tobytes() != guided.tobytes()


def clip_and_t5():
    return clip_t5_unet.build(tiny.sd1(), tiny.t5_encoder(24), tiny.t5_tokenizer())


def test_clip_and_t5_one_after_the_other():
    pipe = clip_and_t5()
    ours = Conditioner.from_pipeline(pipe)("a (red:1.3) cat", prompt_2="a dog")
    clip = Conditioner.from_pipeline(tiny.sd1())("a (red:1.3) cat")
    assert ours.prompt_embeds.shape == (1, 77 + 128, 32)
    assert torch.equal(ours.prompt_embeds[:, :77], clip.prompt_embeds)
    assert not ours.prompt_embeds[:, 77:].any()  # untrained, T5 says nothing
    for weight in clip_t5_unet.projections(pipe):
        torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(0))
    conditioner = Conditioner.from_pipeline(pipe)
    plain, heavy = (
        conditioner("a cat", prompt_2="a dog"),
        conditioner("a cat", prompt_2="a (dog:2)"),
    )
    changed = (plain.prompt_embeds != heavy.prompt_embeds).any(-1)[0].nonzero().flatten()
    assert changed.tolist() == [78]  # the second of T5's tokens, and CLIP's stay
    images = clip_t5_unet.generate(
        pipe, "a (red:1.3) cat", "bad", num_images=2, num_inference_steps=2
    )
    assert images[0].tobytes() != images[1].tobytes()


@pytest.mark.parametrize("module", [sdxl, sd3, flux])
def test_load_reads_a_folder(module, tmp_path):
    name = module.__name__.rpartition(".")[2]
    pipe = tiny.BUILDERS[name]()
    pipe.save_pretrained(tmp_path)
    assert type(module.load(tmp_path)) is type(pipe)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["sd15", "sdxl", "sd3", "flux", "flux2", "qwen_image", "sana", "z_image", "clip_t5_unet"],
)
def test_as_a_program(name, tmp_path):
    out = tmp_path / "picture.png"
    command = [sys.executable, FOLDER / f"{name}.py", "a (red:1.3) cat", "--tiny", "--steps", "4"]
    subprocess.run([*command, "--out", out], check=True, capture_output=True, cwd=tmp_path)
    with Image.open(out) as picture:
        picture.load()
