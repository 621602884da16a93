"""Pictures with captions are read alike from every form, and what is wrong with one is said of it alone."""

import os
import pickle
import shutil
import sys

import pytest

from clipcond.clip.training.held_out import held_out
from clipcond.clip.training.rows import BrokenRowError, Columns
from clipcond.clip.training.sources import all_captions, open_source
from clipcond.errors import ClipcondError
from tests.clip.training.pictures import (
    caption,
    encoded,
    samples,
    write_csv,
    write_folder,
    write_jsonl,
    write_pictures,
    write_tar,
)

COUNT = 5


def by_number(folder, kind):
    """(data, columns) of the same five pictures and captions in some form."""
    if kind == "folder":
        for number, file in enumerate(write_pictures(folder / "in" / "deep", COUNT)):
            file.with_suffix(".txt").write_text(caption(number))
        return folder, Columns()
    if kind in ("csv", "tsv"):
        file = write_csv(folder, COUNT)
        if kind == "tsv":
            file = file.rename(file.with_suffix(".tsv"))
            file.write_text(file.read_text().replace(",", "\t"))
        return file, Columns(label="kind")
    if kind == "jsonl":
        write_pictures(folder, COUNT)
        rows = [{"file": f"{n}.png", "caption": [caption(n)], "kind": n % 2} for n in range(COUNT)]
        return write_jsonl(folder, rows), Columns(image="file", label="kind")
    if kind == "shards":
        write_tar(folder / "a-0.tar", samples(0, 3))
        write_tar(folder / "a-1.tar", samples(3, 2))
        return folder, Columns()
    pictures = [encoded(number) for number in range(COUNT)]
    captions = [caption(number) for number in range(COUNT)]
    if kind == "datasets":
        from datasets import Dataset, Features, Image, Value

        features = Features({"image": Image(), "caption": Value("string")})
        rows = {"image": [{"bytes": each, "path": None} for each in pictures], "caption": captions}
        Dataset.from_dict(rows, features=features).save_to_disk(str(folder / "saved"))
        return folder / "saved", Columns()
    import pyarrow
    from pyarrow import parquet

    cells = pictures if kind == "parquet bytes" else [{"bytes": p, "path": "x"} for p in pictures]
    table = pyarrow.Table.from_pydict({"image": cells, "caption": [[text] for text in captions]})
    parquet.write_table(table, folder / "data.parquet", row_group_size=2)
    return folder / "data.parquet", Columns()


FORMS = [
    *("folder", "csv", "tsv", "jsonl", "shards", "datasets", "parquet bytes", "parquet structs"),
]


@pytest.mark.parametrize("kind", FORMS)
def test_every_form_gives_the_same_pictures_and_captions(tmp_path, kind):
    data, columns = by_number(tmp_path, kind)
    opened = open_source(data, columns)
    for source in (opened, pickle.loads(pickle.dumps(opened))):
        assert len(source) == COUNT
        assert source.notes == ()
        for row in range(COUNT):
            assert source.picture(row) == encoded(row)
            assert source.captions(row) == (caption(row),)
    assert len({opened.key(row) for row in range(COUNT)}) == COUNT
    assert len({opened.name(row) for row in range(COUNT)}) == COUNT
    named = {"csv": "kind {}", "tsv": "kind {}", "jsonl": "{}", "shards": "{}"}.get(kind)
    labels = [named.format(row % 2) if named else None for row in range(COUNT)]
    assert [opened.label(row) for row in range(COUNT)] == labels


def test_lists_of_captions_and_lines_are_several_captions(tmp_path):
    folder = open_source(write_folder(tmp_path / "folder", 1), Columns())
    assert folder.captions(0) == (caption(0), f"{caption(0)}, again")
    table = write_jsonl(tmp_path, [{"image": "0.png", "caption": [" a fox ", "", "an animal"]}])
    assert open_source(table, Columns()).captions(0) == ("a fox", "an animal")
    shard = write_tar(
        tmp_path / "x.tar", {"1.jpg": b"x", "1.txt": "a füchs\r\nanother\r\n".encode()}
    )
    assert open_source(str(shard), Columns()).captions(0) == ("a füchs", "another")


def test_a_file_s_name_is_its_caption_where_no_text_file_is_beside_any(tmp_path):
    names = {
        "a_red_fox-3.png": "a red fox",
        "a blue  box (12).png": "a blue box",
        "Two-Cats.png": "Two Cats",
        "apollo11.png": "apollo11",
    }
    for name in names:
        (tmp_path / name).write_bytes(encoded(0))
    source = open_source(tmp_path, Columns())
    read = {source.name(row): source.captions(row) for row in range(len(source))}
    assert read == {name: (text,) for name, text in names.items()}


def test_names_that_are_numbers_are_no_captions(tmp_path):
    write_pictures(tmp_path, 3)
    with pytest.raises(ClipcondError, match=r"no captions. There is no 0.txt beside 0.png"):
        open_source(tmp_path, Columns())


def test_a_table_among_the_pictures_is_pointed_at(tmp_path):
    write_pictures(tmp_path, 2)
    (tmp_path / "metadata.csv").write_text("file,text\n0.png,a fox\n")
    with pytest.raises(ClipcondError, match=r"but metadata.csv; name that file"):
        open_source(tmp_path, Columns())


def test_a_picture_without_the_text_file_that_others_have_is_broken(tmp_path):
    write_folder(tmp_path, 2)
    (tmp_path / "0.txt").unlink()
    (tmp_path / "1.txt").write_bytes(b"\xff\xfe\xfa")
    source = open_source(tmp_path, Columns())
    with pytest.raises(BrokenRowError, match=r"no captions beside it \(0.txt\)"):
        source.captions(0)
    with pytest.raises(BrokenRowError, match="not readable as UTF-8"):
        source.captions(1)


def test_links_to_folders_are_followed_once(tmp_path):
    write_folder(tmp_path / "here", 2)
    (tmp_path / "here" / "back").symlink_to(tmp_path)
    (tmp_path / "here" / "loop.png").symlink_to(tmp_path / "here" / "loop.png")
    source = open_source(tmp_path, Columns())
    assert [source.name(row) for row in range(len(source))] == [
        "here/0.png", "here/1.png", "here/loop.png",
    ]  # fmt: skip
    with pytest.raises(BrokenRowError, match=r"unreadable|no such"):
        source.picture(2)


def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    source = open_source(tmp_path, Columns())
    with pytest.raises(BrokenRowError, match="is no file"):
        source.picture(0)


def test_rows_of_a_table_that_are_broken(tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    rows = [
        {"image": "empty.png", "caption": ""},
        {"image": "gone.png", "caption": None},
        {"image": 5, "caption": ["a", 7]},
        {"image": "https://example.org/a.png", "caption": "a fox"},
        {"caption": "half \ud800"},
    ]
    file = write_jsonl(tmp_path, rows)
    file.write_text(file.read_text() + 'no json\n[1]\n{"image": "0.png", "caption": "a fox"}\n')
    source = open_source(file, Columns())
    pictures = ["0 bytes", "no such", r"has no path in the column 'image', but 5", "is an address", "but None",
                "line 6 is no JSON", "line 7 is no object"]  # fmt: skip
    captions = ["its caption is empty", "has no caption in the column 'caption', but None", "but 7", None,
                "surrogate", "line 6 is no JSON", "line 7 is no object"]  # fmt: skip
    for row, (picture, text) in enumerate(zip(pictures, captions, strict=True)):
        with pytest.raises(BrokenRowError, match=picture):
            source.picture(row)
        if text:
            with pytest.raises(BrokenRowError, match=text):
                source.captions(row)
    assert source.captions(7) == ("a fox",)
    assert list(all_captions(source, held_out(source, 0, 0)[0])) == ["a fox", "a fox"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"image,text\n0.png,a fox\n", r"no column 'caption'.*--caption-column"),
        ("a.jsonl", b'{"image": "0.png", "text": "a"}\n', r"no column 'caption', but image, text"),
        ("a.jsonl", b"image,caption\n0.png,a\n", "line 1 is no JSON"),
        ("a.jsonl", b"\n\n", "holds no row"),
        ("a.csv", b"image,caption\n", "holds no row"),
        ("a.csv", b"image,caption\na.png\n", r"row 1 \(line 2\) does not fit"),
        ("a.parquet", b"PAR1 no", "unreadable"),
        ("a.tar", b"no tar at all" * 100, "cut short or damaged after 0 files"),
        ("a.tar", b"", "damaged after 0 files"),
        ("a.zip", b"PK", "its ending says no data"),
    ],
)
def test_data_that_cannot_be_read_at_all_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ClipcondError, match=message) as caught:
        open_source(tmp_path / name, Columns())
    assert "\n" not in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("data", ["nothing", "nothing.csv", "nothing-{0..3}.tar", "no/*.tar", 7])
def test_data_that_is_not_there_is_named(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ClipcondError, match=r"nothing|no/\*|got a int"):
        open_source(data, Columns())


def test_an_empty_folder_holds_no_picture(tmp_path):
    (tmp_path / "readme.md").write_text("x")
    with pytest.raises(ClipcondError, match=r"holds no picture that Pillow reads, only readme.md"):
        open_source(tmp_path, Columns())
    with pytest.raises(ClipcondError, match="has no column 'kind'"):
        open_source(tmp_path, Columns(label="kind"))


def test_shards_are_named_by_wildcards_and_brace_lists(tmp_path):
    for number in range(3):
        write_tar(tmp_path / f"a-00{number}.tar", samples(2 * number, 2))
    assert len(open_source(str(tmp_path / "a-*.tar"), Columns())) == 6
    assert len(open_source(str(tmp_path / "a-{000..001}.tar"), Columns())) == 4
    with pytest.raises(ClipcondError, match=r"a-003.tar: no such file"):
        open_source(str(tmp_path / "a-{000..003}.tar"), Columns())


def test_a_shard_is_grouped_as_the_webdataset_package_groups_it(tmp_path):
    from webdataset.tariterators import group_by_keys, tar_file_iterator

    members = {
        "__meta__/x.json": b"{}", "a/1.png": encoded(1), "a/1.txt": b"one", "a/2.left.PNG": encoded(2),
        "b/2.txt": b"two", "a/3.b.c.json": b"{}", "noending": b"", "a/4.txt": b"four", ".hidden.png": b"x",
    }  # fmt: skip
    shard = write_tar(tmp_path / "x.tar", members)
    with shard.open("rb") as file:
        members_of_it = ({**each, "__url__": str(shard)} for each in tar_file_iterator(file))
        theirs = [each["__key__"] for each in group_by_keys(members_of_it)]
    assert len(theirs) == 5
    source = open_source(str(shard), Columns())
    assert [source.name(row) for row in range(len(source))] == [f"x.tar/{key}" for key in theirs]


def test_json_beside_a_picture_has_captions_and_classes_by_name(tmp_path):
    members = {"1.jpg": b"x", "1.txt": b"short", "1.json": b'{"long": ["a", "b"], "kind": 3, "caption": "c"}',
               "2.jpg": b"x", "2.json": b'{"caption": "c"}', "3.json": b"{", "4.jpg": b""}  # fmt: skip
    shard = str(write_tar(tmp_path / "x.tar", members))
    source = open_source(shard, Columns())
    assert [source.captions(0), source.captions(1)] == [("short",), ("c",)]
    other = open_source(shard, Columns(caption="long", label="kind"))
    assert other.captions(0) == ("a", "b")
    assert [other.label(0), other.label(1)] == ["3", None]
    for row, message in enumerate(["no picture, but json", "0 bytes"], start=2):
        with pytest.raises(BrokenRowError, match=message):
            source.picture(row)
    for row, message in enumerate([".json is not readable", "holds no captions, but jpg"], start=2):
        with pytest.raises(BrokenRowError, match=message):
            source.captions(row)


@pytest.mark.parametrize("kept", [0.3, 0.55, 0.8])
def test_of_a_shard_that_is_cut_short_what_was_read_counts(tmp_path, kept):
    shard = write_tar(tmp_path / "a.tar", samples(0, 6))
    whole = write_tar(tmp_path / "b.tar", samples(6, 2))
    content = shard.read_bytes()[: -10240 + 1024]  # without the filling of its end
    shard.write_bytes(content[: int(kept * len(content))])
    source = open_source(tmp_path, Columns())
    assert len(source.notes) == 1
    assert f"{shard}: cut short or damaged after" in source.notes[0]
    complete = [row for row in range(len(source)) if source.name(row).startswith("a.tar")]
    assert 1 <= len(complete) < 6
    assert all(source.picture(row) == encoded(row) for row in complete)
    assert source.captions(len(source) - 1) == (caption(7),)
    assert whole.name in source.name(len(source) - 1)


def test_datasets_objects(tmp_path):
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    write_pictures(tmp_path, 2)
    kinds = Features(
        {
            "image": Value("string"),
            "text": Value("string"),
            "kind": ClassLabel(names=["fox", "cat"]),
        }
    )
    rows = {
        "image": [str(tmp_path / "0.png"), str(tmp_path / "1.png")],
        "text": ["a", "b"],
        "kind": [0, 1],
    }
    data = Dataset.from_dict(rows, features=kinds)
    columns = Columns(caption="text", label="kind")
    for given in (data, DatasetDict(train=data, test=data), DatasetDict(all=data)):
        source = open_source(given, columns)
        assert [source.label(0), source.label(1)] == ["fox", "cat"]
        assert source.picture(1) == encoded(1)
    with pytest.raises(ClipcondError, match="holds a, b; name one"):
        open_source(DatasetDict(a=data, b=data), columns)
    with pytest.raises(ClipcondError, match="streaming=True"):
        open_source(data.to_iterable_dataset(), columns)
    with pytest.raises(ClipcondError, match=r"no column 'caption', but image, text, kind"):
        open_source(data, Columns())
    with pytest.raises(ClipcondError, match="holds no row"):
        open_source(data.select([]), columns)


@pytest.mark.parametrize("package", ["webdataset", "datasets", "pyarrow"])
def test_a_package_that_is_missing_is_named_with_what_installs_it(tmp_path, monkeypatch, package):
    kind = {"webdataset": "shards", "datasets": "datasets", "pyarrow": "parquet bytes"}[package]
    data, columns = by_number(tmp_path, kind)
    for name in [each for each in sys.modules if each.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ClipcondError, match=rf"{package} is not installed: pip install 'clipcond\[train\]'"
    ):
        open_source(data, columns)


def test_pictures_of_a_parquet_that_would_fill_the_memory_are_refused(tmp_path, monkeypatch):
    data, columns = by_number(tmp_path, "parquet structs")
    monkeypatch.setattr("clipcond.clip.training.columns._IN_MEMORY", 1 << 10)
    with pytest.raises(ClipcondError, match=r"GB of pictures in the column 'image'"):
        open_source(data, columns)


def test_a_folder_that_is_taken_away_later_breaks_rows_and_nothing_else(tmp_path):
    data, columns = by_number(tmp_path / "x", "shards")
    source = open_source(data, columns)
    shutil.rmtree(tmp_path / "x")
    with pytest.raises(BrokenRowError, match="unreadable"):
        source.picture(0)
