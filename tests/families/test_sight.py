"""Pictures that a language model reads with the prompt: as its pipeline shows them, in reports and caches too."""

import pytest
import torch
from PIL import Image

from clipcond import Conditioner, EmbeddingCache
from clipcond.errors import ClipcondError
from tests.zoo import ZOO

RED, BLUE = Image.new("RGB", (40, 24), "red"), Image.new("RGB", (24, 40), "blue")


@pytest.fixture(scope="module")
def pipe():
    return ZOO["QwenImageEditPlusPipeline"].build()


@pytest.mark.parametrize("pictures", [RED, [RED], [RED, BLUE]])
def test_states_are_those_that_its_pipeline_makes(pipe, pictures):
    area = 384**2
    conditioned = Conditioner.from_pipeline(pipe)("a hat", image=pictures)
    sight = Conditioner.from_pipeline(pipe).family.roles[0].sight
    assert sight.area == area
    listed = pictures if isinstance(pictures, list) else [pictures]
    resized = [sight._resized(picture) for picture in listed]
    with torch.no_grad():
        theirs, _ = pipe.encode_prompt(prompt="a hat", image=resized)
    assert torch.equal(conditioned.prompt_embeds, theirs)


def test_a_cache_tells_pictures_apart(pipe):
    cached = Conditioner.from_pipeline(pipe, cache=EmbeddingCache())
    one, other = (cached("a hat", image=picture).prompt_embeds for picture in (RED, BLUE))
    assert not torch.equal(one, other)
    again = cached("a hat", image=RED)
    assert again.stats.rows == 0
    assert torch.equal(again.prompt_embeds, one)


def test_words_keep_their_room_and_their_report(pipe):
    conditioner = Conditioner.from_pipeline(pipe, long_prompt="truncate")
    report = conditioner.report("a (red:1.3) hat", image=[RED, BLUE])
    words = report.encoders["text_encoder"].prompts[0].tokens
    assert "".join(token.text for token in words).replace(" ", "") == "aredhat"
    assert {token.weight for token in words} == {1.0, 1.3}


def test_the_empty_prompt_of_a_weight_is_shown_the_picture_too(pipe):
    conditioner = Conditioner.from_pipeline(pipe)
    plain, heavy = (conditioner(f"a {hat}", image=RED) for hat in ("hat", "(hat:1.5)"))
    moved = ((plain.prompt_embeds - heavy.prompt_embeds).abs() > 1e-4).any(-1)[0]
    words = conditioner.report("a (hat:1.5)", image=RED).encoders["text_encoder"].prompts[0].tokens
    assert int(moved.sum()) == sum(token.weight != 1 for token in words)


@pytest.mark.parametrize("image", [None, [], "a.png", [RED, "a.png"]])
def test_what_is_no_picture_is_told(pipe, image):
    with pytest.raises(ClipcondError, match=r"image: got .*pass a PIL picture, or a list"):
        Conditioner.from_pipeline(pipe)("a hat", image=image)


def test_too_many_pictures_and_those_that_nobody_reads():
    edit = Conditioner.from_pipeline(ZOO["QwenImageEditPipeline"].build())
    with pytest.raises(ClipcondError, match="image: got 2 pictures; this model reads 1"):
        edit("a hat", image=[RED, BLUE])
    plain = Conditioner.from_pipeline(ZOO["QwenImagePipeline"].build())
    with pytest.raises(ClipcondError, match="image: Qwen-Image reads prompts alone; leave it out"):
        plain("a hat", image=RED)


def test_a_folder_has_what_cuts_pictures(pipe, tmp_path):
    pipe.save_config(tmp_path)
    for slot in ("text_encoder", "tokenizer"):
        getattr(pipe, slot).save_pretrained(tmp_path / slot)
    pipe.processor.image_processor.save_pretrained(tmp_path / "processor")
    pipe.transformer.save_config(tmp_path / "transformer")
    ours = Conditioner.from_pretrained(tmp_path)("a hat", image=RED)
    theirs = Conditioner.from_pipeline(pipe)("a hat", image=RED)
    assert torch.equal(ours.prompt_embeds, theirs.prompt_embeds)
