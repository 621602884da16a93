"""The cache: what it gives is what was put in, and never what a changed encoder would not give."""

import itertools
import multiprocessing
import os
import resource
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig

from clipcond import Conditioner, EmbeddingCache, TextualInversion
from clipcond.conditioning import row_store
from clipcond.errors import CacheWarning, ClipcondError
from tests import doubles as tiny

BUILD = {"sd1": tiny.sd1, "sdxl": tiny.sdxl, "sd3": tiny.sd3, "flux": tiny.flux}
PROMPT, NEGATIVE = "a (red:1.3) cat", "[a] dog"


def same(a, b):
    names = ("prompt_embeds", "negative_prompt_embeds", "pooled_prompt_embeds")
    pairs = [(getattr(a, name), getattr(b, name)) for name in names]
    return all((x is None) == (y is None) and (x is None or torch.equal(x, y)) for x, y in pairs)


@pytest.mark.parametrize("family", BUILD)
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_a_hit_is_what_was_put_in_and_runs_nothing(family, place, tmp_path):
    pipe = BUILD[family]()
    plain = Conditioner.from_pipeline(pipe)(PROMPT, negative_prompt=NEGATIVE)

    def cache():
        return EmbeddingCache() if place == "memory" else EmbeddingCache(tmp_path, memory=0)

    shared = cache()
    first = Conditioner.from_pipeline(pipe, cache=shared)(PROMPT, negative_prompt=NEGATIVE)
    if place == "disk":
        shared = cache()
    second = Conditioner.from_pipeline(pipe, cache=shared)(PROMPT, negative_prompt=NEGATIVE)
    assert same(first, plain)
    assert same(second, plain)
    assert first.stats.rows == plain.stats.rows
    assert first.stats.rows_cached == 0
    assert second.stats.rows == second.stats.calls == 0
    assert second.stats.rows_cached == plain.stats.rows


def test_only_rows_that_are_not_there_are_run():
    conditioner = Conditioner.from_pipeline(tiny.sd1(), cache=EmbeddingCache())
    conditioner("a cat")
    stats = conditioner(["a cat", "a (cat:1.4)", "a dog"]).stats["text_encoder"]
    assert (stats.calls, stats.rows, stats.rows_cached) == (1, 1, 2)


def test_t5_rows_of_other_lengths_are_joined_as_they_were():
    pipe = tiny.sd3()
    cached = Conditioner.from_pipeline(pipe, cache=EmbeddingCache())
    for length in (20, 40):
        cached("a cat", max_sequence_length=length)
        ours = cached(["a cat", "a dog " * 15], max_sequence_length=length)
        plain = Conditioner.from_pipeline(pipe)(
            ["a cat", "a dog " * 15], max_sequence_length=length
        )
        assert torch.allclose(ours.prompt_embeds, plain.prompt_embeds, atol=1e-5)


# --- never stale -----------------------------------------------------------------------------------------------------


def a_weight(pipe, n):
    weights = [p for p in pipe.text_encoder.parameters() if p.numel()]
    return weights[n % len(weights)]


def add_in_place(pipe, n):
    with torch.no_grad():
        a_weight(pipe, n).view(-1)[n % a_weight(pipe, n).numel()] += 0.25


def write_through_data(pipe, n):
    a_weight(pipe, n).data.view(-1)[n % a_weight(pipe, n).numel()] += 0.25


def replace_data(pipe, n):
    a_weight(pipe, n).data = a_weight(pipe, n).data + 0.01


def step_of_an_optimizer(pipe, n):
    optimizer = torch.optim.SGD(pipe.text_encoder.parameters(), lr=0.1)
    for parameter in pipe.text_encoder.parameters():
        parameter.grad = torch.full_like(parameter, 0.1 + n / 100)
    optimizer.step()


def load_other_weights(pipe, n):
    state = {k: v + 0.02 for k, v in pipe.text_encoder.state_dict().items()}
    pipe.text_encoder.load_state_dict(state)


def swap_two_words(pipe, n):
    """Every sum over the whole table stays what it was."""
    table = pipe.text_encoder.get_input_embeddings().weight.data
    a, b = pipe.tokenizer("cat dog", add_special_tokens=False).input_ids
    table[[a, b]] = table[[b, a]]


def scale_the_lora(pipe, n):
    if not hasattr(pipe.text_encoder, "peft_config"):
        torch.manual_seed(n)
        config = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        pipe.text_encoder.add_adapter(config)
    for part in pipe.text_encoder.modules():
        if hasattr(part, "scale_layer"):
            part.scaling["default"] *= 1.5


def double_precision(pipe, n):
    other = torch.float64 if pipe.text_encoder.dtype == torch.float32 else torch.float32
    pipe.text_encoder.to(other)


CHANGES = [
    add_in_place,
    write_through_data,
    replace_data,
    step_of_an_optimizer,
    load_other_weights,
    swap_two_words,
    scale_the_lora,
    double_precision,
]


@given(
    st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 5000)), min_size=1, max_size=4),
    st.sampled_from([None, 1, 0.5]),
    st.sampled_from([None, 0.5, 2.0]),
)
@settings(max_examples=15, deadline=None)
def test_a_changed_encoder_never_gets_what_it_gave_before(changes, skip, scale):
    pipe, cache = tiny.sd1(), EmbeddingCache()
    for change, n in changes:
        cached = Conditioner.from_pipeline(pipe, clip_skip=skip, cache=cache)
        plain = Conditioner.from_pipeline(pipe, clip_skip=skip)
        cached(PROMPT)
        change(pipe, n)
        lora = {"lora_scale": scale} if hasattr(pipe.text_encoder, "peft_config") else {}
        assert same(cached(PROMPT, **lora), plain(PROMPT, **lora))


def test_layers_and_inversions_are_told_apart():
    pipe, cache = tiny.sd1(), EmbeddingCache()
    options = [{}, {"clip_skip": 1}, {"clip_skip": 1.5}, {"clip_skip": 2}]
    for kwargs in options * 2:
        ours = Conditioner.from_pipeline(pipe, cache=cache, **kwargs)("a moss cat")
        assert same(ours, Conditioner.from_pipeline(pipe, **kwargs)("a moss cat"))
    for fill in (1.0, 2.0, 1.0):
        moss = TextualInversion("moss", {"": torch.full((2, 32), fill)})
        ours = Conditioner.from_pipeline(pipe, cache=cache).with_inversions(moss)("a moss cat")
        assert same(ours, Conditioner.from_pipeline(pipe).with_inversions(moss)("a moss cat"))


def test_another_encoder_of_the_same_shape_shares_nothing(tmp_path):
    one, other = tiny.sd1(), tiny.sd1()
    other.text_encoder = tiny.tiny_text_encoder(seed=7)
    cache = EmbeddingCache(tmp_path)
    Conditioner.from_pipeline(one, cache=cache)(PROMPT)
    ours = Conditioner.from_pipeline(other, cache=cache)(PROMPT)
    assert same(ours, Conditioner.from_pipeline(other)(PROMPT))


def test_offloaded_weights_are_looked_at_where_they_are_kept():
    from accelerate import cpu_offload

    pipe, cache = tiny.sd1(), EmbeddingCache()
    plain = Conditioner.from_pipeline(tiny.sd1())(PROMPT)
    cpu_offload(pipe.text_encoder, torch.device("cpu"))
    conditioner = Conditioner.from_pipeline(pipe, cache=cache)
    conditioner(PROMPT)
    ours = conditioner(PROMPT)
    assert ours.stats.rows == 0
    assert same(ours, plain)
    hook = pipe.text_encoder.embeddings.token_embedding._hf_hook
    hook.weights_map["weight"].add_(0.1)
    assert not same(conditioner(PROMPT), plain)


def test_weights_that_are_nowhere_are_an_error():
    pipe = tiny.sd1()
    pipe.text_encoder.to("meta")
    with pytest.raises(ClipcondError, match="cannot be looked at"):
        Conditioner.from_pipeline(pipe, cache=EmbeddingCache())(PROMPT)


# --- limits and other processes --------------------------------------------------------------------------------------


def test_memory_keeps_to_its_limit():
    row = 77 * 32 * 4 + 32 * 4
    cache = EmbeddingCache(memory=3 * row)
    conditioner = Conditioner.from_pipeline(tiny.sd1(), cache=cache)
    for text in ("a", "cat", "dog", "red"):
        conditioner(text)
    assert sum(t.nbytes for e in cache._entries.values() for t in e.values()) <= 3 * row
    assert conditioner("red").stats.rows_cached == 2
    assert conditioner("a").stats.rows_cached == 1  # only the empty prompt, used all along


def test_logs_end_and_the_oldest_go(tmp_path):
    store = row_store.RowStore(tmp_path, 40_000)
    entries = {f"key{n}": {"states": torch.full((10, 50), float(n))} for n in range(40)}
    for n, (key, entry) in enumerate(entries.items()):
        store.put({key: entry})
        newest = max(tmp_path.glob("*.rows"))
        os.utime(newest, (n, n))
    assert store.size <= 40_000
    assert 4 < len(list(tmp_path.glob("*.rows"))) <= 9
    found = row_store.RowStore(tmp_path, 40_000).get(entries)
    assert "key39" in found
    assert "key0" not in found
    assert all(torch.equal(found[key]["states"], entries[key]["states"]) for key in found)
    assert store.get(["key0"]) == {}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_entries_come_back_bit_for_bit(tmp_path, dtype):
    entries = {
        str(n): {"states": torch.randn(n, 3).to(dtype), "end": torch.randn(5).to(torch.float64)}
        for n in range(4)
    }
    entries["0"]["states"] = torch.full((2, 2), torch.nan).to(dtype)
    row_store.RowStore(tmp_path, 1 << 20).put(entries)
    found = row_store.RowStore(tmp_path, 1 << 20).get(entries)
    for key, entry in entries.items():
        for name, tensor in entry.items():
            own = found[key][name]
            assert own.dtype == tensor.dtype
            assert own.shape == tensor.shape
            assert torch.equal(own.view(torch.uint8), tensor.view(torch.uint8))


def test_a_log_that_was_cut_anywhere_gives_what_is_whole(tmp_path):
    entries = {str(n): {"states": torch.full((3, 2), float(n))} for n in range(3)}
    store = row_store.RowStore(tmp_path / "whole", 1 << 20)
    for key, entry in entries.items():
        store.put({key: entry})
    (log,) = (tmp_path / "whole").glob("*.rows")
    content = log.read_bytes()
    each = len(content) // 3
    for size in range(len(content)):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / log.name).write_bytes(content[:size])
        again = row_store.RowStore(folder, 1 << 20)
        assert sorted(again.get(entries)) == [str(n) for n in range(size // each)]
        again.put({"new": entries["1"]})  # not behind a torn end, where nobody would find it
        fresh = row_store.RowStore(folder, 1 << 20)
        assert sorted(fresh.get([*entries, "new"])) == [*map(str, range(size // each)), "new"]


@pytest.mark.parametrize(
    "garbage", [b"\0" * 64, b"\xff" * 64, b"\x02" + b"\0" * 7 + b"[]", b"\x02" + b"\0" * 7 + b"{x"]
)
def test_a_header_that_is_none_ends_a_log(tmp_path, garbage):
    store = row_store.RowStore(tmp_path, 1 << 20)
    store.put({"a": {"states": torch.ones(2, 2)}})
    (log,) = tmp_path.glob("*.rows")
    with log.open("ab") as file:
        file.write(garbage)
    again = row_store.RowStore(tmp_path, 1 << 20)
    assert set(again.get(["a", "b"])) == {"a"}
    again.put({"b": {"states": torch.ones(2, 2)}})
    assert set(store.get(["a", "b"])) == {"a", "b"}


def test_a_writer_that_holds_on_for_long_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(row_store, "_PATIENCE", 0.05)
    store = row_store.RowStore(tmp_path, 1 << 20)
    with FileLock(tmp_path / ".lock"):
        row_store.RowStore(tmp_path, 1 << 20).put({"a": {"states": torch.ones(2)}})
    assert store.get(["a"]) == {}


def test_what_a_crash_leaves_is_ignored(tmp_path):
    conditioner = Conditioner.from_pipeline(tiny.sd1(), cache=EmbeddingCache(tmp_path))
    conditioner(PROMPT)
    (whole,) = tmp_path.glob("*.rows")
    whole.with_stem("00000009").write_bytes(whole.read_bytes()[:500])
    again = Conditioner.from_pipeline(tiny.sd1(), cache=EmbeddingCache(tmp_path))(PROMPT)
    assert again.stats.rows == 0


def killed(folder):
    """Writes until it is killed."""
    store = row_store.RowStore(folder, 1 << 30)
    for n in itertools.count():
        store.put({f"{os.getpid()} {n}": {"states": torch.full((300, 300), float(n))}})


def test_writers_that_are_killed_leave_what_they_had_written(tmp_path):
    context = multiprocessing.get_context("fork")
    for _ in range(6):
        process = context.Process(target=killed, args=(tmp_path,))
        process.start()
        first = f"{process.pid} 3"
        store = row_store.RowStore(tmp_path, 1 << 30)
        while not store.get([first]):
            assert process.is_alive()
        process.kill()
        process.join()
        found = row_store.RowStore(tmp_path, 1 << 30).get([f"{process.pid} {n}" for n in range(99)])
        assert first in found
        for key, entry in found.items():
            assert torch.equal(entry["states"], torch.full((300, 300), float(key.split()[1])))


def work(folder, first):
    torch.set_num_threads(1)
    row_store._LOG_BYTES = 40_000
    cache = EmbeddingCache(folder, memory=0)
    pipe = tiny.sd1()
    cached, plain = Conditioner.from_pipeline(pipe, cache=cache), Conditioner.from_pipeline(pipe)
    for n in range(12):
        text = " ".join(["cat"] * (1 + (first + n) % 20))
        if not same(cached(text), plain(text)):
            os._exit(1)
    os._exit(0)


def test_two_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=work, args=(tmp_path, first)) for first in (0, 7)]
    for process in both:
        process.start()
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    ours = Conditioner.from_pipeline(tiny.sd1(), cache=EmbeddingCache(tmp_path))("cat cat cat")
    assert ours.stats.rows == 0


def test_a_folder_that_cannot_be_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ClipcondError, match="no folder for a cache"):
        EmbeddingCache(tmp_path / "file" / "cache")
    with pytest.raises(ClipcondError, match="needs 0 or more"):
        EmbeddingCache(memory=-1)


# --- disks that refuse -----------------------------------------------------------------------------------------------


def refused(outcome, before, after):
    """In a process of its own: what a disk's refusal does to a cache whose folder was fine before."""
    torch.set_num_threads(1)
    if os.geteuid() == 0:
        os.setuid(65534)  # whom permissions bind
    pipe, folder = tiny.sd1(), Path(tempfile.mkdtemp())
    plain = Conditioner.from_pipeline(pipe)
    before(folder, Conditioner.from_pipeline(pipe, cache=EmbeddingCache(folder)))
    right = {text: plain(text) for text in ("cat", "dog", "red")}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with after(folder) as place:
            conditioner = Conditioner.from_pipeline(pipe, cache=EmbeddingCache(place, memory=0))
            stats = {}
            for text in right:
                ours = conditioner(text)
                assert same(ours, right[text])
                stats[text] = ours.stats.rows_cached
    told = [str(w.message) for w in caught if w.category is CacheWarning]
    outcome.send((told, stats, len(list(folder.glob("*.rows")))))


def nothing(folder, conditioner):
    pass


def cats(folder, conditioner):
    conditioner("cat")


@contextmanager
def read_only(folder):
    folder.chmod(0o500)
    for file in folder.iterdir():
        file.chmod(0o400)
    yield folder
    folder.chmod(0o700)


@contextmanager
def full(folder):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@contextmanager
def starved(folder):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    yield folder
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextmanager
def never_made(folder):
    with read_only(folder):
        yield folder / "below"


def outcome_of(before, after):
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=refused, args=(sender, before, after))
    process.start()
    process.join(120)
    assert process.exitcode == 0
    return receiver.recv()


@pytest.mark.parametrize("after", [read_only, full, starved, never_made])
def test_a_disk_that_refuses_is_told_once_and_done_without(after):
    told, cached, _ = outcome_of(nothing, after)
    assert len(told) == 1
    assert "cannot be" in told[0]
    assert cached == {"cat": 0, "dog": 0, "red": 0}


@pytest.mark.parametrize("after", [read_only, full])
def test_a_disk_that_cannot_be_written_to_is_still_read(after):
    told, cached, files = outcome_of(cats, after)
    assert len(told) == 1
    assert "written to" in told[0]
    assert cached == {"cat": 2, "dog": 1, "red": 1}  # the empty prompt is there as well
    assert files == 1


def test_what_a_starved_process_cannot_open_stays():
    _, _, files = outcome_of(cats, starved)
    assert files == 1


@pytest.mark.parametrize("instead", ["nothing", "file"])
def test_a_folder_that_goes_away_is_told_once_and_done_without(instead, tmp_path):
    pipe, folder = tiny.sd1(), tmp_path / "cache"
    conditioner = Conditioner.from_pipeline(pipe, cache=EmbeddingCache(folder))
    conditioner("cat")
    shutil.rmtree(folder)
    if instead == "file":
        folder.write_text("")
    with pytest.warns(CacheWarning, match="goes on without") as caught:
        found = [conditioner(text) for text in ("dog", "red", "cat")]
    assert len(caught) == 1
    assert all(
        same(ours, Conditioner.from_pipeline(pipe)(text))
        for ours, text in zip(found, ("dog", "red", "cat"), strict=True)
    )
