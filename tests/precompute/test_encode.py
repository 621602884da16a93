"""Tables of prompts to embeddings: what is stored is what a call gives, once each, whatever interrupts it."""

import csv
import json
import multiprocessing
import os
import random
import signal

import pyarrow
import pytest
import torch
from filelock import FileLock
from pyarrow import parquet
from torch.utils.data import DataLoader

from clipcond import Conditioner, load_embeddings
from clipcond import files as storage
from clipcond.bulk import find_engine
from clipcond.cli import main
from clipcond.errors import CheckpointError, ClipcondError
from clipcond.precompute import encode_prompts
from clipcond.tables import write_rows
from tests import doubles as tiny
from tests.tiny import save_tiny_pipeline

CONDITIONER = Conditioner.from_pipeline(tiny.sd1())
PROMPTS = [
    "a cat",
    "a (red:1.3) cat",
    "a cat",
    "",
    'a "dog",\nin two lines',
    "eine große Katze 🐈",
    "a red cat, " * 30,
    "a cat",
]


def table(folder, prompts, name="prompts.jsonl"):
    path = folder / name
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in prompts))
    return path


def files(folder):
    return {
        f.name: f.read_bytes() for f in folder.iterdir() if f.suffix in (".safetensors", ".json")
    }


@pytest.mark.parametrize("family", ["sd1", "sdxl", "sd3", "flux"])
def test_each_item_is_what_the_conditioner_gives_alone(family, tmp_path):
    conditioner = Conditioner.from_pipeline(getattr(tiny, family)())
    prompts = [*PROMPTS, "a cat " * 300]
    summary = encode_prompts(
        conditioner, table(tmp_path, prompts), tmp_path / "out", dtype=torch.float32, shard_size=3
    )
    data = load_embeddings(tmp_path / "out")
    assert (summary.prompts, summary.distinct, summary.failures) == (9, 7, ())
    assert [item["prompt"] for item in data] == prompts
    for item in data:
        alone = conditioner(item["prompt"])
        assert torch.allclose(item["prompt_embeds"], alone.prompt_embeds[0], atol=1e-5)
        if alone.pooled_prompt_embeds is not None:
            pooled = item["pooled_prompt_embeds"]
            assert torch.allclose(pooled, alone.pooled_prompt_embeds[0], atol=1e-5)


def test_every_kind_of_table_is_the_same(tmp_path):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "caption"])
        writer.writeheader()
        writer.writerows({"id": n, "caption": text} for n, text in enumerate(PROMPTS))
    parquet.write_table(pyarrow.table({"caption": PROMPTS}), tmp_path / "b.parquet")
    (tmp_path / "c.jsonl").write_text("\n".join(json.dumps(text) for text in PROMPTS))
    found = []
    write_rows([{"caption": text} for text in PROMPTS], tmp_path / "e.tsv")
    for name in ("a.csv", "b.parquet", "c.jsonl", "e.tsv"):
        encode_prompts(CONDITIONER, tmp_path / name, tmp_path / f"out-{name}", column="caption")
        found.append(files(tmp_path / f"out-{name}"))
    assert found[0] == found[1] == found[2] == found[3]
    (tmp_path / "d.txt").write_text("a cat\r\na red cat\n")
    encode_prompts(CONDITIONER, tmp_path / "d.txt", tmp_path / "out-d")
    assert [item["prompt"] for item in load_embeddings(tmp_path / "out-d")] == [
        "a cat",
        "a red cat",
    ]


def test_a_worker_of_a_data_loader_reads_it(tmp_path):
    prompts = [f"a cat {n % 7}" for n in range(20)]
    encode_prompts(CONDITIONER, table(tmp_path, prompts), tmp_path / "out", shard_size=2)
    data = load_embeddings(tmp_path / "out")
    data[0]  # an open file does not hinder what follows
    loader = DataLoader(data, batch_size=4, num_workers=1, multiprocessing_context="fork")
    batches = list(loader)
    assert [text for batch in batches for text in batch["prompt"]] == prompts
    assert batches[0]["prompt_embeds"].shape == (4, 77, 32)
    assert batches[0]["prompt_embeds"].dtype == torch.float16


def test_what_cannot_be_encoded_is_named_and_the_rest_is_done(tmp_path):
    prompts = ["a cat", "a [cat:dog:0.5]", "a dog", "a [cat:dog:0.5]", "a (cat:1e38)", "a AND b"]
    summary = encode_prompts(CONDITIONER, table(tmp_path, prompts), tmp_path / "out")
    assert [message.partition(":")[0] for message in summary.failures] == ["row 2", "row 6"]
    assert (
        "'a AND b' joins prompts with AND, which no embedding of it can say" in summary.failures[1]
    )
    data = load_embeddings(tmp_path / "out")
    assert data.rows.tolist() == [0, 2, 4]
    assert [item["prompt"] for item in data] == ["a cat", "a dog", "a (cat:1e38)"]
    with pytest.raises(IndexError, match="item 3 of 3"):
        data[3]


# --- interruptions ---------------------------------------------------------------------------------------------------

MANY = [" ".join(["cat", "dog", "red"][n % 3] for n in range(1 + k % 23)) for k in range(60)]


def run_until(events, source, out):
    """In a process of its own: encode, and die like by kill -9 at the given event of writing."""
    torch.set_num_threads(1)
    left = events
    save, replace = storage.save_file, storage.Path.replace

    def die_in_time():
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def save_file(tensors, path, metadata=None):
        die_in_time()
        save(tensors, path, metadata)
        if left == 1:  # half of it reaches the disk
            os.truncate(path, path.stat().st_size // 2)
        die_in_time()

    def replaced(path, target):
        found = replace(path, target)
        die_in_time()
        return found

    storage.save_file, storage.Path.replace = save_file, replaced
    encode_prompts(CONDITIONER, source, out, shard_size=4)
    os._exit(0)


def killed_and_resumed(tmp_path, points):
    source = table(tmp_path, MANY)
    encode_prompts(CONDITIONER, source, tmp_path / "whole", shard_size=4)
    expected = files(tmp_path / "whole")
    context = multiprocessing.get_context("fork")
    for number, point in enumerate(points):
        out = tmp_path / f"cut-{number}"
        process = context.Process(target=run_until, args=(point, source, out))
        process.start()
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
        with pytest.raises(CheckpointError, match="no finished embeddings"):
            load_embeddings(out)
        summary = encode_prompts(CONDITIONER, source, out, shard_size=4)
        assert summary.prompts == len(MANY)
        assert files(out) == expected
        again = encode_prompts(CONDITIONER, source, out, shard_size=4)
        assert again.encoded == 0


def test_kill_and_resume(tmp_path):
    killed_and_resumed(tmp_path, [1, 2, 3, 9, 18])


@pytest.mark.slow
def test_kill_and_resume_at_fifty_points(tmp_path):
    # about.json and 6 shards of 3 events each; the last event of all leaves nothing to resume
    killed_and_resumed(tmp_path, [random.Random(seed).randint(1, 18) for seed in range(50)])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_every_engine_gives_the_same_bytes(engine, tmp_path):
    source = table(tmp_path, MANY)
    encode_prompts(CONDITIONER, source, tmp_path / "here", shard_size=4)
    encode_prompts(
        CONDITIONER,
        source,
        tmp_path / engine,
        shard_size=4,
        engine=find_engine(engine, workers=2),
    )
    assert files(tmp_path / engine) == files(tmp_path / "here")


def test_two_processes_do_not_write_to_one_folder(tmp_path):
    source = table(tmp_path, PROMPTS)
    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / ".lock"),
        pytest.raises(ClipcondError, match="another process is writing"),
    ):
        encode_prompts(CONDITIONER, source, tmp_path / "out")
    encode_prompts(CONDITIONER, source, tmp_path / "out")


@pytest.mark.parametrize("change", ["prompts", "options", "encoders"])
def test_a_folder_of_something_else_is_refused_untouched(change, tmp_path):
    encode_prompts(CONDITIONER, table(tmp_path, PROMPTS), tmp_path / "out")
    before = files(tmp_path / "out")
    conditioner, prompts, dtype = CONDITIONER, PROMPTS, torch.float16
    if change == "prompts":
        prompts = [*PROMPTS, "more"]
    elif change == "options":
        dtype = torch.float32
    else:
        pipe = tiny.sd1()
        with torch.no_grad():
            next(pipe.text_encoder.parameters()).view(-1)[0] += 1
        conditioner = Conditioner.from_pipeline(pipe)
    with pytest.raises(ClipcondError, match=f"other {change}"):
        encode_prompts(conditioner, table(tmp_path, prompts), tmp_path / "out", dtype=dtype)
    assert files(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, "no such file"),
        ("a.xlsx", "x", r"name a \.txt, \.jsonl, \.csv, \.parquet"),
        ("a.csv", "caption\ncat\n", "has no column 'prompt', but caption"),
        ("a.csv", "", "has no column 'prompt', but none at all"),
        ("a.jsonl", '{"prompt": "cat"}\n{"prompt": 3}\n', "row 2 has no text"),
        ("a.jsonl", '{"prompt": "cat"}\n{"pro', "unreadable after row 1"),
        ("a.jsonl", "", "holds no prompt"),
        ("a.parquet", "x", "unreadable"),
        (
            "a.csv",
            "prompt\na fox, a red heart\n",
            r"row 1 \(line 2\) does not fit the header prompt",
        ),
        ("a.csv", 'prompt\na cat\n"a dog\na fox\n', "the row that begins in line 3"),
        ("a.csv", "caption\na cat\n", "name one with --prompt-column"),
    ],
)
def test_tables_that_cannot_be_read_are_one_clear_error(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ClipcondError, match=message):
        encode_prompts(CONDITIONER, tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_captions_over_a_hundred_thousand_characters_and_odd_line_ends(tmp_path):
    prompts = ["a cat\u2028b", "a" + " " * 140_000 + "cat", 'a "dog"\r\nb']
    write_rows([{"prompt": text} for text in prompts], tmp_path / "t.csv")
    encode_prompts(CONDITIONER, tmp_path / "t.csv", tmp_path / "out")
    assert [item["prompt"] for item in load_embeddings(tmp_path / "out")] == prompts


def test_both_names_of_the_option_for_the_column(tmp_path, capsys):
    model = save_tiny_pipeline(tmp_path / "model")
    (tmp_path / "t.tsv").write_text("\ufeffid\tcaption\n1\ta cat, red\n")
    command = ["encode", str(tmp_path / "t.tsv"), "--model", str(model), "--out"]
    for option in ("--prompt-column", "--column"):
        out = tmp_path / option
        assert main([*command, str(out), option, "caption"]) == 0
        assert [item["prompt"] for item in load_embeddings(out)] == ["a cat, red"]


def test_the_command(tmp_path, capsys):
    model = save_tiny_pipeline(tmp_path / "model")
    source = table(tmp_path, ["a cat", "a [cat:dog:0.5]", "a cat"])
    command = ["encode", str(source), "--model", str(model), "--out", str(tmp_path / "out")]
    assert main([*command, "--json"]) == 1
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert (found["prompts"], found["distinct"], found["encoded"]) == (3, 2, 2)
    assert "row 2: the prompt 'a [cat:dog:0.5]' changes over the steps" in shown.err
    assert len(load_embeddings(tmp_path / "out")) == 2
    assert main([*command, "--dtype", "float32"]) == 2
    assert "other options; name another folder" in capsys.readouterr().err
