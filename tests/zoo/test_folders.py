"""Folders of pipelines whose prompts T5, BERT or T5Gemma read: what is on disk conditions as the pipeline object does."""

import pytest
import torch
from transformers import T5GemmaConfig

from clipcond import Conditioner
from clipcond.conditioning.value import TENSORS
from tests.zoo import ZOO
from tests.zoo.support import SUPPORTED

QUICK = ("PixArtAlphaPipeline", "WanPipeline", "HunyuanDiTPipeline", "PRXPipeline")
SLOW = (
    "IFPipeline",
    "AuraFlowPipeline",
    "ChromaPipeline",
    "LTXPipeline",
    "CogVideoXPipeline",
    "LattePipeline",
    "StableAudioPipeline",
    "MotifVideoPipeline",
    "StableAudio3Pipeline",
    "QwenImage21Pipeline",
    "ZImagePipeline",
    "SanaPipeline",
    "Lumina2Pipeline",
    "CogView4Pipeline",
    "Krea2Pipeline",
    "LTX2Pipeline",
    "Cosmos2_5_PredictBasePipeline",
)
NAMES = [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def save_text_parts(pipe, folder):
    """What conditioning reads: the index, the text encoders with their tokenizers, the denoiser's configuration."""
    pipe.save_config(folder)
    conditioner = Conditioner.from_pipeline(pipe)
    for role in conditioner.family.roles:
        for slot in (role.slot, role.tokenizer):
            part = getattr(pipe, slot)
            getattr(part, "tokenizer", part).save_pretrained(folder / slot)
    reader = conditioner.family.reading_slot
    getattr(pipe, reader).save_config(folder / reader)
    return conditioner


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_a_folder_conditions_as_its_pipeline_does(name, tmp_path):
    entry = ZOO[name]
    if entry.needs:
        pytest.importorskip(entry.needs)
    theirs = save_text_parts(entry.build(), tmp_path)
    ours = Conditioner.from_pretrained(tmp_path)
    assert ours.family == theirs.family
    assert (ours.family.name, ours.width) == (SUPPORTED[name], theirs.width)
    length = {"max_sequence_length": 80} if ours.family.t5_length else {}
    a, b = (c("a (red:1.3) cat", negative_prompt="a dog", **length) for c in (ours, theirs))
    for tensor in TENSORS:
        x, y = getattr(a, tensor), getattr(b, tensor)
        assert (x is None and y is None) or torch.equal(x, y), tensor
    assert a.fingerprints == b.fingerprints


@pytest.mark.filterwarnings("ignore")
def test_prx_may_be_saved_with_the_configuration_of_a_decoder_beside_its_encoders(tmp_path):
    pytest.importorskip("ftfy")
    pipe = ZOO["PRXPipeline"].build()
    theirs = save_text_parts(pipe, tmp_path)
    own = pipe.text_encoder.config.to_dict()
    T5GemmaConfig(encoder=own, decoder=own).save_pretrained(tmp_path / "text_encoder")
    ours = Conditioner.from_pretrained(tmp_path)
    assert torch.equal(ours("a cat").prompt_embeds, theirs("a cat").prompt_embeds)
