"""A CLIP is right from any thread, beside others and beside whatever else is done with its tokenizer."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from clipcond.clip import load_clip
from tests.clip.openai_model import openai_clip, save_archive
from tests.clip.tiny_kinds import save_siglip, unigram
from tests.tiny import clip_tokenizer, save_tiny_clip

TEXTS = ["a cat", "a <|endoftext|> dog", "the red fox " * 40, "“blue” ball", ""]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    archive = save_archive(openai_clip(), root / "ViT.pt")
    return [
        load_clip(save_tiny_clip(root / "tiny")),
        load_clip(archive, tokenizer=clip_tokenizer()),
        load_clip(save_siglip(root / "siglip", unigram())[0]),
    ]


@pytest.mark.parametrize("index", range(3), ids=["transformers", "openai", "siglip"])
def test_texts_are_read_alike_from_many_threads(clips, index):
    clip, rounds, workers = clips[index], 40, 4
    alone = clip.encode_texts(TEXTS)
    rows = clip.reader.read(TEXTS, clip.positions)
    start = threading.Barrier(workers)

    def read(_):
        start.wait()
        return [clip.reader.read(TEXTS, clip.positions) for _ in range(rounds)]

    def encode(_):
        start.wait()
        return [clip.encode_texts(TEXTS).features for _ in range(3)]

    def disturb(_):
        """What a pipeline does with the tokenizer that it shares."""
        start.wait()
        options = {"padding": "max_length", "truncation": True, "max_length": 6}
        for _ in range(rounds):
            clip.tokenizer(TEXTS, **options)
            clip.tokenizer(TEXTS)

    with ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(job, None) for job in (read, encode, disturb, disturb)]
        found, features, *_ = (job.result() for job in jobs)
    assert all(one == rows for one in found)
    assert all(torch.equal(one, alone.features) for one in features)
