"""What ships: stock libraries load it, it is small, its card is what was measured, and it draws what is asked."""

import json
from itertools import permutations

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from transformers import CLIPModel, CLIPTokenizer

from clipcond import ClipScorer, emoji
from clipcond.emoji.requirements import Count
from clipcond.emoji.world import PRESETS, SHIPPED
from weights.lab import card
from weights.lab.reports import WEIGHTS


def test_all_weights_are_half_precision_safetensors_of_30_mb_together() -> None:
    files = [
        file
        for folder in ("emoji", "judge")
        for file in (WEIGHTS / folder).rglob("*")
        if file.is_file()
    ]
    assert sum(file.stat().st_size for file in files) <= 30e6
    assert not [file for file in files if file.suffix in {".bin", ".pt", ".ckpt"}]
    for file in files:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as tensors:
                names = list(tensors.keys())
                assert {tensors.get_tensor(name).dtype for name in names} == {torch.float16}


def test_stock_libraries_load_it() -> None:
    pipe = StableDiffusionPipeline.from_pretrained(WEIGHTS / "emoji")
    clip, loading = CLIPModel.from_pretrained(WEIGHTS / "emoji" / "clip", output_loading_info=True)
    assert not loading["missing_keys"]
    assert pipe.unet.num_parameters() <= 8e6
    assert {part.dtype for part in (pipe.unet, pipe.vae, pipe.text_encoder, clip)} == {
        torch.float32
    }
    ours, theirs = pipe.text_encoder.state_dict(), clip.text_model.state_dict()
    assert all(torch.equal(ours[name].float(), theirs[name].float()) for name in ours)


def test_tokenizer_is_clips_format() -> None:
    tokenizer = CLIPTokenizer.from_pretrained(WEIGHTS / "emoji" / "tokenizer")
    assert len(tokenizer) <= 4096
    assert tokenizer.eos_token_id == len(tokenizer) - 1
    assert tokenizer.model_max_length == 77
    text = "a zebra, 3 Ünïcode words!"
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True).replace(
        " ", ""
    ) == (text.lower().replace(" ", ""))


@pytest.mark.slow
def test_it_draws_what_held_out_prompts_ask() -> None:
    pipe = StableDiffusionPipeline.from_pretrained(WEIGHTS / "emoji")
    pipe.set_progress_bar_config(disable=True)
    prompts = [prompt for found in emoji.tasks().values() for prompt in found[:4]]
    images = pipe(
        prompts,
        num_inference_steps=emoji.DEFAULT_STEPS,
        guidance_scale=emoji.DEFAULT_GUIDANCE_SCALE,
        generator=[torch.Generator().manual_seed(0) for _ in prompts],
    ).images
    drawn = [{item.sprite for item in emoji.read(image).items} for image in images]
    asked = [{group.sprite for group in groups(prompt)} for prompt in prompts]
    right = share(asked, drawn)
    assert right >= 0.4
    assert share(asked, drawn[5:] + drawn[:5]) <= right / 3


@pytest.mark.parametrize("folder", ["emoji/clip", "judge"])
def test_the_clips_tell_who_is_large(folder: str) -> None:
    scorer = ClipScorer.from_pretrained(WEIGHTS / folder)
    right, cosines, sizes = [], [], PRESETS[SHIPPED].sizes
    for first, second in permutations(("fox", "pig", "car", "pizza", "red heart"), 2):
        items = (emoji.Item(first, 0, 8, sizes["large"]), emoji.Item(second, 20, 8, sizes["small"]))
        prompts = [f"a large {first} and a small {second}", f"a small {first} and a large {second}"]
        scores = scorer.similarity([emoji.render(emoji.Scene("white", items))], prompts)[0]
        right.append(bool(scores[0] > scores[1]))
        features = scorer.text_features(prompts).features
        cosines.append(float(features[0] @ features[1]))
    assert sum(right) / len(right) >= 0.9  # chance is a half
    assert sum(cosines) / len(cosines) < 0.8  # two towers that are blind to it would be near 1


def groups(prompt: str) -> list[emoji.Group]:
    return [r.group for r in emoji.expected(prompt) if isinstance(r, Count)]


def share(asked: list[set[str]], drawn: list[set[str]]) -> float:
    """Share of the sprites asked for that are there."""
    found = sum(len(a & d) for a, d in zip(asked, drawn, strict=True))
    return found / sum(map(len, asked))


def test_the_card_says_what_was_measured() -> None:
    measured = {name: json.loads((WEIGHTS / f"{name}.json").read_text()) for name in card.MEASURED}
    assert (WEIGHTS / "emoji" / "README.md").read_text() == card.card(**measured)


def test_the_settings_of_the_card_are_the_defaults() -> None:
    evaluation = json.loads((WEIGHTS / "evaluation.json").read_text())
    assert evaluation["split"] == "held_out"
    assert (evaluation["steps"], evaluation["guidance_scale"]) == (
        emoji.DEFAULT_STEPS,
        emoji.DEFAULT_GUIDANCE_SCALE,
    )


@pytest.mark.parametrize("name", ["single object", "colors", "background", "two objects"])
def test_the_card_has_every_task(name: str) -> None:
    evaluation = json.loads((WEIGHTS / "evaluation.json").read_text())
    assert evaluation["tasks"][name]["prompts"] >= 50
