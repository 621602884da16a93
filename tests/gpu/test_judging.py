"""Scores and pictures of a device beside those of the CPU."""

import numpy as np
import pytest
import torch

import clipcond
from clipcond import ClipScorer, emoji
from clipcond.resources import model_folder

pytestmark = pytest.mark.gpu
COSINE = 2e-3  # convolutions may run in TF32 on a GPU
LEVELS = 6.0  # of 255, mean difference of two pictures sampled in the same few steps
SCENES = [emoji.sample(seed) for seed in range(12)]
IMAGES = [emoji.render(scene) for scene in SCENES]
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
