"""The T5 that reads without pictures: what is hidden is asked for, and a short run makes an encoder that loads."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, T5EncoderModel

from tests.weights.lab.test_training import MINUTES, stage
from weights.lab.train import t5

SENTINELS = list(range(1000, 1008))


@given(st.lists(st.integers(0, 999), min_size=2, max_size=80), st.integers(0, 2**32))
def test_what_is_hidden_is_what_is_asked_for(ids: list[int], seed: int) -> None:
    seen, asked = t5.corrupt(ids, SENTINELS, np.random.default_rng(seed))
    spans: dict[int, list[int]] = {}
    for token in asked:
        if token in SENTINELS:
            last = spans.setdefault(token, [])
        else:
            last.append(token)
    assert list(spans) == [token for token in seen if token in SENTINELS]
    back = [part for token in seen for part in spans.get(token, [token])]
    assert back == ids
    assert all(spans.values())
    hidden = sum(map(len, spans.values()))
    assert hidden == max(1, round(t5.NOISE * len(ids)))


def test_spans_are_of_three_tokens_on_average() -> None:
    rng = np.random.default_rng(0)
    rows = [t5.corrupt(list(range(60)), SENTINELS, rng) for _ in range(200)]
    counts = [sum(token in SENTINELS for token in seen) for seen, _ in rows]
    assert set(counts) == {3}
    assert len({tuple(seen) for seen, _ in rows}) > 190


def test_plain_texts_are_prose() -> None:
    texts = t5.plain_texts()
    assert len(texts) > 5000
    assert not any("\n" in text for text in texts)


@pytest.mark.slow
def test_a_run_leaves_an_encoder_that_loads(tmp_path: Path) -> None:
    stage("t5", "--preset", "medium", "--run", tmp_path, "--minutes", MINUTES, "--device", "cpu")
    encoder = T5EncoderModel.from_pretrained(tmp_path / "t5").float()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "t5")
    ids = tokenizer(["a fox and a red heart", "two lions"], padding=True, return_tensors="pt")
    assert ids.input_ids[0, 5] != tokenizer.unk_token_id
    with torch.no_grad():
        states = encoder(**ids).last_hidden_state
    assert states.shape[::2] == (2, t5.WIDTH)
    assert states.isfinite().all()
