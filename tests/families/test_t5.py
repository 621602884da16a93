"""Families whose denoisers read a T5, where what becomes of one side depends on the other."""

import pytest
import torch

from clipcond import Conditioner
from tests.zoo import ZOO


@pytest.mark.parametrize("prompts", [["a red cat"], ["a cat", "a big dog on the sky"]], ids=len)
def test_latte_hides_padding_as_its_pipeline_does(prompts):
    pipe = ZOO["LattePipeline"].build()
    ours = Conditioner.from_pipeline(pipe)(prompts, negative_prompt="a very bad picture")
    with torch.no_grad():
        theirs = pipe.encode_prompt(prompts, negative_prompt="a very bad picture")
    assert torch.equal(ours.prompt_embeds, theirs[0])
    assert torch.equal(ours.negative_prompt_embeds, theirs[1])
    assert ours.prompt_attention_mask is None


@pytest.mark.parametrize("negative", [None, "a dog"])
def test_kandinsky_3_cuts_both_sides_behind_the_longest_prompt(negative):
    pipe = ZOO["Kandinsky3Pipeline"].build()
    prompts = ["a cat", "a big dog on the sky"]
    ours = Conditioner.from_pipeline(pipe)(prompts, negative_prompt=negative)
    with torch.no_grad():
        theirs = pipe.encode_prompt(prompts, negative_prompt=negative and [negative] * 2)
    longest = int(ours.prompt_attention_mask.sum(1).max()) + 1
    assert ours.prompt_embeds.shape[1] == ours.negative_prompt_embeds.shape[1] == longest
    assert torch.equal(ours.prompt_embeds, theirs[0][:, :longest])
    assert torch.equal(ours.negative_prompt_embeds, theirs[1][:, :longest])
