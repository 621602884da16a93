"""Tables on disk: what is written is read again, in every format, and what does not fit is an error that quotes it."""

import csv
import importlib.util
import json
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcond.errors import ClipcondError
from clipcond.tables import Column, read_rows, write_rows

ROWS = [
    {"file": 'a, "b".png', "score": 0.123456789, "truncated": True},
    {"file": "ü\n.png", "score": -1.0, "truncated": False},
]
FILE, PROMPT = Column("file", "--file-column"), Column("prompt", "--prompt-column")
FORMATS = ("csv", "tsv", "jsonl", "parquet")
# no half surrogates, which no file can hold; and no NUL, which .csv and .tsv refuse
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def read(folder, name, content, columns=(FILE, PROMPT)):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_rows(folder / name, columns))


def refusal(folder, name, content, columns=(FILE, PROMPT)):
    with pytest.raises(ClipcondError) as caught:
        read(folder, name, content, columns)
    message = str(caught.value)
    assert message.startswith(f"{folder / name}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("ending", FORMATS)
@settings(deadline=None, max_examples=60)
@given(pairs=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_what_is_written_is_read_again(ending, tmp_path_factory, pairs):
    file = tmp_path_factory.mktemp("t") / f"t.{ending}"
    write_rows([{"file": f, "score": 0.5, "prompt": p} for f, p in pairs], file)
    assert list(read_rows(file, [FILE, PROMPT])) == pairs
    assert list(read_rows(file, [PROMPT, FILE])) == [(p, f) for f, p in pairs]
    write_rows([{"prompt": p} for _, p in pairs], file)
    assert list(read_rows(file, [PROMPT])) == [(p,) for _, p in pairs]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "text",
    [
        "a fox, a red heart",
        'a 5" disk',
        '"all of it"',
        "two\nlines",
        "two\r\nlines",
        "a\rb",
        "tab\tbed",
        "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg",
        "\ufeffmarked",
        " blanks ",
        "",
        "'=1+1",
        "x" * 200_000,
    ],
)
def test_texts_that_trouble_tables(ending, text, tmp_path):
    write_rows([{"file": "a.png", "prompt": text}], tmp_path / f"t.{ending}")
    assert list(read_rows(tmp_path / f"t.{ending}", [FILE, PROMPT])) == [("a.png", text)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "\ufefffile,prompt\r\na.png,a fox\r\n\r\n\r\n"),
        ("t.csv", "\nfile,prompt\n\na.png,a fox"),
        ("t.csv", " prompt ,id,file\na fox,1,a.png\n"),
        ("t.csv", '"file", "prompt"\n"a.png", "a fox"\n'),
        ("t.csv", "id,id,file,prompt\n1,2,a.png,a fox\n"),
        ("t.CSV", "file,prompt\ra.png,a fox\r"),
        ("t.tsv", "\ufefffile\tprompt\r\na.png\ta fox\r\n"),
        ("t.jsonl", '\ufeff{"file": "a.png", "prompt": "a fox"}\r\n\r\n \n'),
        ("t.jsonl", '{"prompt": "a fox", "id": 3, "file": "a.png"}'),
    ],
)
def test_one_row_in_many_ways(name, content, tmp_path):
    assert read(tmp_path, name, content) == [("a.png", "a fox")]


def test_lines_of_text(tmp_path):
    content = "\ufeffa cat\r\n\n a\u2028b\x85c\rd \n"
    assert read(tmp_path, "t.txt", content, [PROMPT]) == [
        ("a cat",),
        ("",),
        (" a\u2028b\x85c\rd ",),
    ]
    assert read(tmp_path, "t.jsonl", '"a\u2028cat"\n"b"\n', [PROMPT]) == [("a\u2028cat",), ("b",)]


@pytest.mark.parametrize(
    ("name", "content", "quotes"),
    [
        (
            "t.csv",
            "file,prompt\nb.png,b\na.png,a fox, a red heart\n",
            ["row 2 (line 3)", "['a.png', 'a fox', ' a red heart']", "commas in quotes"],
        ),
        ("t.csv", "file,prompt\na.png,a fox,\n", ["row 1 (line 2)", "['a.png', 'a fox', '']"]),
        ("t.csv", 'file,prompt\n"a\n.png",b\n\na.png\n', ["row 2 (line 5)", "['a.png']"]),
        ("t.tsv", "file\tprompt\na.png\ta\tfox\n", ["row 1 (line 2)", "tabs in quotes"]),
        (
            "t.csv",
            'file,prompt\nb.png,b\na.png,"a fox\nc.png,a dog\n',
            ["the row that begins in line 3", "not closed", "'a.png,\"a fox"],
        ),
        (
            "t.csv",
            'file,prompt\na.png,"a fox\nc.png,"a dog"\n',
            ["the row that begins in line 2", "'a.png,\"a fox"],
        ),
        ("t.csv", 'file,prompt\na.png,"a 5" disk"\n', ["line 2", '"a 5"" disk"']),
        ("t.csv", "file,prompt,prompt\na.png,a,b\n", ["2 columns 'prompt'", "rename all but one"]),
        ("t.csv", "file,prompt, prompt \na.png,a,b\n", ["2 columns 'prompt'"]),
        (
            "t.csv",
            "file,text\na.png,x\n",
            ["no column 'prompt', but file, text", "--prompt-column"],
        ),
        ("t.csv", "name,prompt\na.png,x\n", ["no column 'file', but name", "--file-column"]),
        ("t.csv", "a.png,a fox\n", ["but a.png, a fox", "its first row"]),
        ("t.csv", "file;prompt\na.png;a fox\n", ["separated by semicolons", "save it with commas"]),
        ("t.csv", "file\tprompt\na.png\ta fox\n", ["separated by tabs", "save it with commas"]),
        ("t.tsv", "file,prompt\na.png,a fox\n", ["separated by commas", "save it with tabs"]),
        ("t.csv", "", ["no column 'file', but none at all"]),
        ("t.csv", "\n\n", ["no column 'file', but none at all"]),
        ("t.csv", "file,prompt\n", ["holds no row"]),
        ("t.csv", "file,prompt\na.png,a\0b\n", ["line 2", "NUL", r"a\x00b"]),
        ("t.csv", "file,prompt\na.png,a\n".encode("utf-16"), ["UTF-16", "save it as UTF-8"]),
        ("t.csv", "file,prompt\na.png,a\n".encode("utf-16-le"), ["line 1", "NUL", "UTF-16"]),
        ("t.csv", "file,prompt\na.png,café\n".encode("latin-1"), ["line 2", r"caf\xe9", "UTF-8"]),
        ("t.jsonl", '{"file": "a.png", "prompt": 3}\n', ["row 1 has no text", "but 3 (line 1)"]),
        ("t.jsonl", '\n{"file": null, "prompt": "a"}\n', ["'file', but None (line 2)"]),
        ("t.jsonl", '{"file": "a.png", "prompt": ["a"]}\n', ["row 1", "['a']"]),
        ("t.jsonl", '{"file": "a.png"}\n', ["row 1 (line 1)", "no column 'prompt', but file"]),
        ("t.jsonl", '{"file": "a", "prompt": "a", "prompt": "b"}\n', ["names 'prompt' twice"]),
        ("t.jsonl", "[1]\n", ["row 1", "[1]"]),
        ("t.jsonl", '"a fox"\n', ["row 1", "'a fox'"]),
        ("t.jsonl", '[{"file": "a.png",\n', ["unreadable", "line 1", "one JSON object a line"]),
        ("t.jsonl", "[" * 100_000 + "\n", ["unreadable", "line 1"]),
        ("t.jsonl", "", ["holds no row"]),
        ("t.parquet", "x", ["unreadable"]),
        ("t.txt", "a fox\n", ["ending says no table", ".csv, .parquet, .tsv"]),
        ("t.xlsx", "", ["ending says no table"]),
    ],
)
def test_tables_that_cannot_be_read(name, content, quotes, tmp_path):
    message = refusal(tmp_path, name, content)
    for quote in quotes:
        assert quote in message


def test_no_such_file_and_a_folder(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, quote in (("none.csv", "no such file"), ("folder.csv", "unreadable")):
        with pytest.raises(ClipcondError, match=quote):
            list(read_rows(tmp_path / name, [PROMPT]))


def test_columns_of_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def refused(table, *columns):
        parquet.write_table(table, tmp_path / "t.parquet")
        with pytest.raises(ClipcondError) as caught:
            list(read_rows(tmp_path / "t.parquet", columns))
        return str(caught.value)

    two = pyarrow.table([["a"], ["b"], ["c"]], names=["prompt", "prompt", "file"])
    assert "2 columns 'prompt'" in refused(two, PROMPT)
    assert list(read_rows(tmp_path / "t.parquet", [FILE])) == [("c",)]
    assert "row 2 has no text in the column 'prompt', but None" in refused(
        pyarrow.table({"prompt": ["a", None]}), PROMPT
    )
    assert "but ['a', 'b']" in refused(pyarrow.table({"prompt": [["a", "b"]]}), PROMPT)
    assert "no column 'file', but prompt; name one with --file-column" in refused(
        pyarrow.table({"prompt": ["a"]}), PROMPT, FILE
    )
    words = pyarrow.array(["a", "b", "a"]).dictionary_encode()
    parquet.write_table(pyarrow.table({"prompt": words}), tmp_path / "t.parquet")
    assert list(read_rows(tmp_path / "t.parquet", [PROMPT])) == [("a",), ("b",), ("a",)]


def test_rows_are_read_one_after_another_and_the_process_is_as_before(tmp_path):
    limit = csv.field_size_limit()
    rows = read_rows(
        write(tmp_path, 'file,prompt\na,a\nb,"' + "x" * 200_000 + '"\nc,a,b\n'), [PROMPT]
    )
    assert next(rows) == ("a",)
    assert next(rows) == ("x" * 200_000,)
    assert csv.field_size_limit() == limit
    with pytest.raises(ClipcondError, match="row 3"):
        next(rows)
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "txt"])
def test_a_large_table_takes_little_memory(ending, tmp_path):
    rows = [{"file": f"{n}.png", "prompt": f"a cat {n} " + "red " * 250} for n in range(2_000)]
    file = tmp_path / f"t.{ending}"
    if ending == "txt":
        file.write_text("".join(row["prompt"] + "\n" for row in rows))
    else:
        write_rows(rows, file)
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_rows(file, [PROMPT]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 2_000
    assert peak < 300_000 < file.stat().st_size / 5


def test_long_rows_in_many_threads(tmp_path):
    limit, text = csv.field_size_limit(), "x" * 140_000
    file = write(tmp_path, "prompt\n" + f'"{text}"\n' * 20)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(set(read_rows(file, [PROMPT]))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{(text,)}] * 4
    assert csv.field_size_limit() == limit


def write(folder: Path, content: str) -> Path:
    (folder / "t.csv").write_text(content)
    return folder / "t.csv"


def test_csv_and_jsonl_say_the_same(tmp_path):
    write_rows(ROWS, tmp_path / "t.csv")
    write_rows(ROWS, tmp_path / "t.jsonl")
    with (tmp_path / "t.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{k: str(v) for k, v in row.items()} for row in ROWS]
    assert [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()] == ROWS
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.csv", "t.jsonl"]


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is there")
def test_parquet_without_pyarrow_says_what_to_install(tmp_path):
    with pytest.raises(ClipcondError, match="pip install pyarrow"):
        write_rows(ROWS, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


def test_parquet_with_pyarrow(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_rows(ROWS, tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").to_pylist() == ROWS


@pytest.mark.parametrize(
    ("name", "quote"),
    [
        ("t.xlsx", "ending says no table"),
        ("t.txt", "ending says no table"),
        ("no/t.csv", "there is no folder"),
    ],
)
def test_files_that_cannot_be(tmp_path, name, quote):
    with pytest.raises(ClipcondError, match=quote):
        write_rows(ROWS, tmp_path / name)


@pytest.mark.parametrize("ending", FORMATS)
def test_texts_that_no_file_can_hold(ending, tmp_path):
    with pytest.raises(ClipcondError, match="half of a surrogate pair"):
        write_rows([{"file": "caf\udce9.png"}], tmp_path / f"t.{ending}")
    if ending in ("csv", "tsv"):
        with pytest.raises(ClipcondError, match="NUL"):
            write_rows([{"file": "a\0.png"}], tmp_path / f"t.{ending}")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_a_clear_error_and_leaves_nothing(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(ClipcondError, match=r"t\.csv: cannot be written"):
        write_rows(ROWS, tmp_path / "t.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]
