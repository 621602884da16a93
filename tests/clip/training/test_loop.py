"""The loop on batches of one's own: schedule, average, what is kept, and a loss that is no number."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipcond.clip import load_clip
from clipcond.clip.training.accelerating import make_accelerator
from clipcond.clip.training.batch import Batch
from clipcond.clip.training.journal import read_log
from clipcond.clip.training.loop import fit
from clipcond.clip.training.schedule import Clock, seed_step
from clipcond.clip.training.settings import Keeping, Settings
from clipcond.errors import ClipcondError


def batches(first, pixels=None):
    """Random pairs, each step its own."""
    for step in itertools.count(first):
        made = torch.Generator().manual_seed(step)
        yield Batch(
            pixels=torch.randn(6, 3, 32, 32, generator=made) if pixels is None else pixels,
            tokens=torch.randint(0, 40, (6, 8), generator=made),
            ends=torch.full((6,), 7),
            pictures=torch.arange(6),
            captions=torch.arange(6),
        )


def fitted(beginning, out, *, source=batches, keeping=None, **told):
    settings = Settings(**(dict(steps=6, rate=1e-3, warmup=2) | told))
    out.mkdir(exist_ok=True)
    return fit(
        load_clip(beginning),
        source,
        settings,
        accelerator=make_accelerator(settings, out=out, device="cpu"),
        out=out,
        keeping=keeping or Keeping(steps=2, last=2, log_steps=1),
    )


@given(
    steps=st.integers(1, 300), warmup=st.integers(0, 400), hold=st.floats(0, 1), rate=st.floats(1e-8, 1)
)  # fmt: skip
def test_the_rate_rises_holds_and_falls(steps, warmup, hold, rate):
    clock = Clock(Settings(steps=steps, rate=rate, warmup=warmup, hold=hold))
    rates = []
    for step in range(steps):
        clock.step = step
        rates.append(clock.rate())
    assert all(0 <= each <= rate * (1 + 1e-12) for each in rates)
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top])
    assert rates[max(top, warmup) :] == sorted(rates[max(top, warmup) :], reverse=True)
    if warmup <= 1:
        assert rates[0] == pytest.approx(rate)
    clock.step = steps
    assert clock.progress == 1
    assert clock.rate() == pytest.approx(0, abs=1e-9) or hold == 1


@given(seed=st.integers(0, 2**62), step=st.integers(0, 10**9), process=st.integers(0, 4096))
def test_a_steps_random_numbers_are_its_own(seed, step, process):
    found = []
    for told in [(seed, step, process), (seed, step, process), (seed, step + 1, process), (seed, step, process + 1)]:  # fmt: skip
        seed_step(*told)
        found.append(torch.rand(2).tolist())
    assert found[0] == found[1]
    assert found[0] not in found[2:]


def test_the_average_is_of_all_steps(beginning, tmp_path):
    """Weights after each step, from runs that were cut there, averaged by hand."""
    after = []

    def until(last):
        def some(first):
            for step, batch in enumerate(batches(first), first):
                if step == last:
                    raise InterruptedError
                yield batch

        return some

    for last in range(1, 6):
        with pytest.raises(InterruptedError):
            fitted(beginning, tmp_path / str(last), source=until(last), keeping=Keeping(steps=1))
        file = tmp_path / str(last) / "checkpoints" / f"step-{last:09d}" / "model.safetensors"
        from safetensors.torch import load_file

        after.append(load_file(file)["model.logit_scale"].item())
    after.append(fitted(beginning, tmp_path / "all").towers.model.logit_scale.item())
    share, expected = 0.75, after[0]
    for value in after[1:]:
        expected = share * expected + (1 - share) * value
    found = fitted(beginning, tmp_path / "average", ema=share).towers.model.logit_scale.item()
    assert found == pytest.approx(expected, abs=1e-6)
    assert found != after[-1]


def test_the_last_checkpoints_are_kept_and_the_log_has_every_step(beginning, tmp_path):
    result = fitted(beginning, tmp_path / "out")
    assert result.finished
    kept = sorted(folder.name for folder in (tmp_path / "out" / "checkpoints").iterdir())
    assert kept == ["step-000000004", "step-000000006"]
    rows = read_log(tmp_path / "out")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert {"loss", "rate", "scale", "minutes", "pictures_per_second"} <= rows[0].keys()


def test_a_loss_that_is_no_number_stops_the_training(beginning, tmp_path):
    def broken(first):
        return batches(first, torch.full((6, 3, 32, 32), float("nan")))

    with pytest.raises(ClipcondError, match=r"the loss is nan at step 1.*lower rate"):
        fitted(beginning, tmp_path / "out", source=broken)
    assert not (tmp_path / "out" / "checkpoints").exists()


def test_a_second_training_may_compute_in_another_precision(beginning, tmp_path):
    one = fitted(beginning, tmp_path / "one")
    other = fitted(beginning, tmp_path / "other", precision="bfloat16")
    assert one.towers.model.dtype == other.towers.model.dtype == torch.float32


def test_attention_is_as_it_was_configured_afterwards(beginning, tmp_path):
    """On a CPU it is trained in another kernel, which no file says."""
    result = fitted(beginning, tmp_path / "out")
    result.towers.model.save_pretrained(tmp_path / "saved")
    assert "eager" not in (tmp_path / "saved" / "config.json").read_text()
