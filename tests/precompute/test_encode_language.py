"""Embeddings of families whose prompt a language model reads: two sequences, or lengths of their own."""

import pytest
import torch

from clipcond import Conditioner, load_embeddings
from clipcond.precompute import encode_prompts
from tests.precompute.test_encode import table
from tests.zoo import ZOO

PROMPTS = [
    "a cat",
    'a (red:1.3) dog with a "hat"',
    "",
    "a red cat, " * 30,
    'a "' + "dog" * 60 + '"',
]


@pytest.mark.parametrize("name", ["HiDreamImagePipeline", "Kandinsky5T2IPipeline"])
def test_each_item_is_what_the_conditioner_gives_alone(name, tmp_path):
    conditioner = Conditioner.from_pipeline(ZOO[name].build())
    out = tmp_path / "out"
    encode_prompts(conditioner, table(tmp_path, PROMPTS), out, dtype=torch.float32, shard_size=3)
    data = load_embeddings(out)
    assert [item["prompt"] for item in data] == PROMPTS
    for item in data:
        alone = conditioner(item["prompt"])
        for key, tensor in item.items():
            if key != "prompt":
                assert torch.allclose(tensor, getattr(alone, key)[0], atol=1e-6), key
