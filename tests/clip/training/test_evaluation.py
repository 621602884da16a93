"""Recall and zero-shot against counting by hand; the same at every world size; nothing is left changed."""

import tempfile
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from clipcond.clip.training.evaluation import HeldOut, evaluate
from clipcond.clip.training.recall import shares, wrong_before
from clipcond.errors import ClipcondError
from tests.clip.training.small_clips import CAPTIONS, batch, small_clip

LABELS = ("fox", "bird", "digit", "tree", "bird")


def held_out(clip, count=23, unread=()):
    """One picture in three has two captions, one in four no label."""
    pixels = batch(clip, count).pixels
    captions = [[CAPTIONS[i % 5], *([f"picture {i}"] if i % 3 == 0 else [])] for i in range(count)]
    labels = [None if i % 4 == 3 else LABELS[i % 5] for i in range(count)]
    pictures = [None if i in unread else pixels[i] for i in range(count)]
    return HeldOut(pictures=pictures, captions=captions, labels=labels)


def by_hand(queries, answers, right, k):
    """Share of queries with a right answer among the k nearest of a sorted list."""
    hits = 0
    for query, own in enumerate(right):
        order = sorted(
            range(len(answers)), key=lambda a: (-float(queries[query] @ answers[a]), a in own)
        )
        hits += any(answer in own for answer in order[:k])
    return hits / len(right)


@given(st.integers(1, 30), st.integers(1, 20), st.integers(1, 7), st.integers(0, 1000))
def test_recall_is_that_of_a_sorted_list(n, m, block, seed):
    generator = torch.Generator().manual_seed(seed)
    # whole numbers: products are exact and ties are common
    queries = torch.randint(-1, 2, (n, 3), generator=generator).float()
    answers = torch.randint(-1, 2, (m, 3), generator=generator).float()
    own = [set(torch.randint(0, m, (2,), generator=generator).tolist()) for _ in range(n)]
    pairs = torch.tensor([(q, a) for q in reversed(range(n)) for a in own[q]])
    found = shares(wrong_before(queries, answers, pairs, block=block), (1, 5, 10))
    assert found == pytest.approx({k: by_hand(queries, answers, own, k) for k in (1, 5, 10)})


def test_features_that_are_all_the_same_or_no_numbers_find_nothing():
    pairs = torch.arange(20)[:, None].repeat(1, 2)
    for value in (1.0, torch.nan):
        features = torch.full((20, 4), value)
        assert shares(wrong_before(features, features, pairs), (1, 10)) == {1: 0.0, 10: 0.0}


@pytest.mark.parametrize("kind", ["vit", "resnet"])
def test_evaluation_is_what_features_say(kind):
    clip = small_clip(kind)
    held = held_out(clip)
    found = evaluate(clip, held, batch=4)
    with torch.no_grad():
        pixels = torch.stack(list(held.pictures))
        image = F.normalize(
            clip.model.get_image_features(pixel_values=pixels).pooler_output, dim=-1
        )
    texts = list(dict.fromkeys(c for row in held.captions for c in row))
    text = F.normalize(clip.encode_texts(texts).features, dim=-1)
    of_picture = [{texts.index(c) for c in row} for row in held.captions]
    of_text = [{i for i, row in enumerate(held.captions) if c in row} for c in texts]
    assert found.image_to_text == pytest.approx(
        {k: by_hand(image, text, of_picture, k) for k in (1, 5, 10)}
    )
    assert found.text_to_image == pytest.approx(
        {k: by_hand(text, image, of_text, k) for k in (1, 5, 10)}
    )
    names = sorted(set(LABELS))
    heads = F.normalize(clip.encode_texts([f"a photo of a {n}" for n in names]).features, dim=-1)
    known = [i for i, label in enumerate(held.labels) if label]
    own = [{names.index(held.labels[i])} for i in known]
    assert found.zero_shot == pytest.approx(
        {k: by_hand(image[known], heads, own, k) for k in (1, 5)}
    )
    assert (found.pictures, found.texts, found.classes) == (23, len(texts), 4)
    assert found.labelled == len(known)


def test_templates_are_averaged_and_classes_may_be_more():
    clip = small_clip("vit")
    classes = (*sorted(set(LABELS)), "moon", "sun")
    found = evaluate(clip, held_out(clip), classes=classes, templates=("a {}", "one {} here"))
    assert found.classes == 6
    assert found.as_dict()["zero_shot_top1"] == found.zero_shot[1]
    assert "zero-shot top 1/5" in str(found)


def test_pictures_that_cannot_be_read_are_left_out_everywhere():
    clip = small_clip("vit")
    held = held_out(clip, unread=(0, 7))
    kept = [i for i in range(23) if i not in (0, 7)]
    rest = HeldOut(
        pictures=[held.pictures[i] for i in kept],
        captions=[held.captions[i] for i in kept],
        labels=[held.labels[i] for i in kept],
    )
    found, expected = evaluate(clip, held).as_dict(), evaluate(clip, rest).as_dict()
    assert found.pop("unread") == 2
    assert expected.pop("unread") == 0
    assert found == pytest.approx(expected)
    with pytest.raises(ClipcondError, match="none of its 23 pictures could be read"):
        evaluate(clip, held_out(clip, unread=range(23)))


def test_nothing_is_left_changed():
    clip = small_clip("resnet")
    clip.model.train()
    clip.model.visual.layer1.eval()
    before = {name: tensor.clone() for name, tensor in clip.model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    evaluate(clip, held_out(clip))
    assert torch.equal(torch.rand(2), expected)
    assert clip.model.visual.training
    assert not clip.model.visual.layer1[0].bn1.training
    assert all(torch.equal(t, before[name]) for name, t in clip.model.state_dict().items())


def _evaluated(rank, world, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world
    )
    clip = small_clip("vit")
    found = evaluate(clip, held_out(clip, unread=(2,)), batch=4)
    Path(folder, f"{rank}.txt").write_text(repr(found))
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_is_the_same_at_every_world_size(world):
    clip = small_clip("vit")
    expected = repr(evaluate(clip, held_out(clip, unread=(2,)), batch=4))
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(_evaluated, (world, folder), nprocs=world)
        found = {Path(folder, f"{rank}.txt").read_text() for rank in range(world)}
    assert found == {expected}


@pytest.mark.slow
def test_workers_read_the_same():
    clip = small_clip("vit")
    held = held_out(clip, unread=(2,))
    assert evaluate(clip, held, batch=4, workers=2) == evaluate(clip, held, batch=4)


def test_what_cannot_be_evaluated_is_said():
    clip = small_clip("vit")
    held = held_out(clip, count=3)
    with pytest.raises(ClipcondError, match="row 1 has no caption; leave it out"):
        evaluate(clip, HeldOut(pictures=held.pictures, captions=[["a"], [], ["b"]]))
    with pytest.raises(ClipcondError, match="1 labels for 3 pictures"):
        evaluate(clip, HeldOut(pictures=held.pictures, captions=held.captions, labels=["a"]))
    with pytest.raises(ClipcondError, match="the label 'fox' is none of the classes"):
        evaluate(clip, held, classes=["cat"])
    with pytest.raises(ClipcondError, match=r"template: 'a photo' has no \{\}"):
        evaluate(clip, held, templates=("a photo",))
