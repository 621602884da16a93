"""Retrieval: recall as a full matrix of similarities gives it, with several captions a picture, in little memory."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipcond import ClipScorer, emoji
from clipcond.errors import ClipcondError
from clipcond.evaluation.retrieval import recall, recall_of_table
from clipcond.tables import write_rows

ROOT = Path(__file__).parents[2]
MEMORY = 256 * 2**20


def unit(count, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, 8, generator=generator), dim=-1)


@given(st.integers(1, 12), st.integers(0, 30), st.integers(0, 99))
def test_recall_is_that_of_the_whole_matrix(pictures, more, seed):
    captions = pictures + more
    images, texts = unit(pictures, seed), unit(captions, seed + 1)
    owner = torch.cat(
        [
            torch.arange(pictures),
            torch.randint(pictures, (more,), generator=torch.Generator().manual_seed(seed)),
        ]
    )
    found = recall(images, texts, torch.stack([owner, torch.arange(captions)], dim=1))
    similarity = images @ texts.T
    for k, share in found.text_to_image.items():
        top = similarity.T.topk(min(k, pictures), dim=1).indices
        assert share == pytest.approx((top == owner[:, None]).any(1).double().mean().item())
    for k, share in found.image_to_text.items():
        top = owner[similarity.topk(min(k, captions), dim=1).indices]
        own = torch.arange(pictures)[:, None]
        assert share == pytest.approx((top == own).any(1).double().mean().item())


def test_a_picture_without_caption_is_refused():
    with pytest.raises(ClipcondError, match="picture 1 has none"):
        recall(unit(2, 0), unit(1, 1), torch.tensor([[0, 0]]))


def test_a_table_of_pictures_with_several_captions(tmp_path):
    rows = []
    for number in range(12):
        scene = emoji.sample(number)
        emoji.render(scene, 32).save(tmp_path / f"{number}.png")
        rows += [
            {"image": f"{number}.png", "caption": emoji.caption(scene, seed)} for seed in (1, 2)
        ]
    rows.append({"image": "gone.png", "caption": "nothing"})
    write_rows(rows, tmp_path / "t.csv")
    scorer = ClipScorer.from_pretrained("judge", batch_size=5)
    found = recall_of_table(
        scorer, tmp_path / "t.csv", file_column="image", prompt_column="caption"
    )
    assert found.pictures == 12
    assert found.captions == len({r["caption"] for r in rows}) - 1
    assert found.text_to_image[10] > 0.9
    assert found.image_to_text[1] > 0.5
    assert found.failures[0].endswith("gone.png: no such picture file; check the path")


PROGRAM = """
import resource, torch
from clipcond.evaluation.retrieval import recall
features = [torch.nn.functional.normalize(torch.randn(20_000, 512), dim=-1) for _ in range(2)]
pairs = torch.arange(20_000)[:, None].repeat(1, 2)
torch.ones(512, 512) @ torch.ones(512, 512)  # what a product loads
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
recall(*features, pairs)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before)
"""


@pytest.mark.slow
def test_twenty_thousand_by_twenty_thousand_stay_small():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert int(done.stdout) <= MEMORY
