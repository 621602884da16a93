"""Scores and pictures of a device beside those of the CPU."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import clipcond
from clipcond import ClipScorer, emoji
from clipcond.clip import POLICIES, Preprocessing
from clipcond.clip.resize import FILTERS, resize
from clipcond.resources import model_folder

pytestmark = pytest.mark.gpu
COSINE = 2e-3  # convolutions may run in TF32 on a GPU
LEVELS = 6.0  # of 255, mean difference of two pictures sampled in the same few steps
SCENES = [emoji.sample(seed) for seed in range(12)]
IMAGES = [emoji.render(scene) for scene in SCENES]
PREPROCESSING = Preprocessing(
    shortest_edge=224,
    crop=(224, 224),
    resample=3,
    rescale_factor=1 / 255,
    mean=(0.48145466, 0.4578275, 0.40821073),
    std=(0.26862954, 0.26130258, 0.27577711),
)
PROMPTS = [emoji.caption(scene, 0) for scene in SCENES]


@pytest.fixture(scope="module")
def scorers(device):
    return [ClipScorer.from_pretrained(model_folder(), device=place) for place in ("cpu", device)]


def test_scores_are_those_of_the_cpu(scorers):
    cpu, there = (scorer.score(IMAGES, PROMPTS).values for scorer in scorers)
    assert there.dtype == torch.float32
    np.testing.assert_allclose(there.cpu(), cpu, rtol=0, atol=COSINE)


def test_similarity_and_batches(scorers, device):
    cpu, there = (scorer.similarity(IMAGES, PROMPTS) for scorer in scorers)
    np.testing.assert_allclose(there.cpu(), cpu, rtol=0, atol=COSINE)
    alone = torch.stack(
        [
            scorers[1].score(i, p).values.cpu()[0]
            for i, p in zip(IMAGES[:3], PROMPTS[:3], strict=True)
        ]
    )
    np.testing.assert_allclose(alone, there.cpu().diagonal()[:3], rtol=0, atol=1e-5)


@pytest.mark.parametrize("policy", POLICIES)
def test_pictures_on_the_device_are_prepared_there_to_the_same_bits(device, policy):
    rng = np.random.default_rng(0)
    for size in ((512, 512), (1024, 768), (300, 451), (97, 40)):
        for filter_ in FILTERS:
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            preprocessing = replace(PREPROCESSING, policy=policy, resample=int(filter_))
            there = torch.from_numpy(pixels).permute(2, 0, 1).to(device)
            prepared = preprocessing.views(there)
            assert prepared.device.type == device.type
            assert torch.equal(prepared.cpu(), preprocessing.views(Image.fromarray(pixels)))


def test_a_shrink_that_cuda_antialiasing_refuses(device):
    pixels = torch.randint(0, 256, (1, 3, 941, 1080), dtype=torch.uint8)
    picture = Image.fromarray(pixels[0].permute(1, 2, 0).numpy())
    shrunk = resize(pixels.to(device), (11, 10), 3)[0].permute(1, 2, 0).cpu()
    assert np.array_equal(shrunk, np.asarray(picture.resize((11, 10), Image.Resampling.BICUBIC)))


def test_pictures_on_the_device_have_the_features_of_those_on_the_cpu(device):
    pictures = [image.resize((90 + 7 * i, 70)) for i, image in enumerate(IMAGES)]
    pixels = [torch.from_numpy(np.array(picture)).permute(2, 0, 1) for picture in pictures]
    for crop in POLICIES:
        scorer = ClipScorer.from_pretrained(model_folder(), device=device, crop=crop)
        expected = scorer.image_features(pictures)
        for there in (
            [each.to(device) for each in pixels],
            [each.to(device) / 255 for each in pixels],
            [*pictures[:3], *(each.to(device) for each in pixels[3:])],
        ):
            found = scorer.image_features(there)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_half_precision_towers(device, dtype):
    plain = ClipScorer.from_pretrained(model_folder()).score(IMAGES, PROMPTS).values
    scorer = ClipScorer.from_pretrained(model_folder(), device=device, dtype=dtype)
    ours = scorer.score(IMAGES, PROMPTS).values.cpu()
    tolerance = {torch.float16: 5e-3, torch.bfloat16: 3e-2}[dtype]
    np.testing.assert_allclose(ours, plain, rtol=0, atol=tolerance)


def test_generate(scorers, device):
    """The same seeds give near pictures on both, at any batch size, and near scores."""
    diffusers = pytest.importorskip("diffusers")
    results = []
    for scorer, place, batch in zip(scorers, ("cpu", device), (3, 2), strict=True):
        pipe = diffusers.StableDiffusionPipeline.from_pretrained(model_folder()).to(place)
        pipe.set_progress_bar_config(disable=True)
        with pytest.warns(UserWarning, match="scorer's text tower"):
            results.append(
                clipcond.generate(
                    pipe,
                    "a (red:1.2) heart",
                    scorer=scorer,
                    candidates=3,
                    keep=3,
                    batch_size=batch,
                    num_inference_steps=4,
                )
            )
    by_seed = [dict(zip(r.seeds, r.images, strict=True)) for r in results]
    for seed in range(3):
        one, other = (np.asarray(images[seed], np.float32) for images in by_seed)
        assert np.abs(one - other).mean() <= LEVELS
