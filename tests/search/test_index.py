"""The index: what is found is what the scorer's own matrix says, and a run touches what has changed and nothing else."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from clipcond import emoji
from clipcond.bulk import find_engine
from clipcond.errors import CheckpointError, ClipcondError, ScoreError
from clipcond.search import Index
from tests.search.conftest import COUNT

pytestmark = (
    pytest.mark.slow
)  # together; tests/cli/test_search.py goes the whole way in the fast run
ROOT = Path(__file__).parents[2]


def contents(index):
    """Rows without their order; vectors as bytes."""
    rows = index.table.to_arrow().to_pylist()
    return sorted(
        (row["path"], row["hash"], row["bytes"], np.float32(row["vector"]).tobytes())
        for row in rows
    )


def forwards(scorer, monkeypatch):
    """Pictures that go through the image tower, counted."""
    counted = []
    inner = scorer.clip.model.get_image_features

    def watched(pixel_values, **how):
        counted.append(len(pixel_values))
        return inner(pixel_values=pixel_values, **how)

    monkeypatch.setattr(scorer.clip.model, "get_image_features", watched)
    return counted


def test_found_lists_are_those_of_the_whole_matrix(made, scorer, captions):
    pictures, db = made
    index = Index.open(db)
    names = sorted(captions, key=lambda name: int(name.split(".")[0]))
    features = scorer.image_features([pictures / name for name in names]).numpy()
    texts = scorer.text_features([captions[name] for name in names]).features.numpy()
    for number in range(0, COUNT, 7):
        similarity = features @ texts[number]
        hits = index.search(captions[names[number]], top=5)
        assert [hit.score for hit in hits] == pytest.approx(sorted(similarity)[::-1][:5], abs=1e-5)
        for hit in hits:
            assert hit.score == pytest.approx(
                similarity[names.index(Path(hit.path).name)], abs=1e-5
            )


def test_many_queries_find_what_each_finds_alone(made, monkeypatch):
    index = Index.open(made[1])
    monkeypatch.setattr("clipcond.search.hits._AT_ONCE", 7)  # in many blocks
    asked = ["a fox", "a red heart", str(made[0] / "7.png"), "2*a car - a banana"]
    for where in (None, "bytes > 700"):
        found = index.search_each(asked, where=where, top=9)
        for query, hits in zip(asked, found, strict=True):
            alone = index.search(query, where=where, top=9)
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in alone])
            # of equal scores either may come first, and either be the last
            own = {hit.path: hit.score for hit in hits if hit.score > hits[-1].score + 1e-5}
            assert own.keys() <= {hit.path for hit in alone}
            for path, score in own.items():
                assert score == pytest.approx(next(h.score for h in alone if h.path == path))
            assert hits[0].row == alone[0].row
    assert index.search_each([]) == []
    assert index.search_each(["a fox"], where="width > 9999") == [[]]
    with pytest.raises(ClipcondError, match="where: 'no sql' is not understood"):
        index.search_each(["a fox"], where="no sql")


def test_kinds_have_a_middle_that_all_are_near_to(made, scorer):
    _, db = made
    index = Index.open(db)
    found = index.clusters(0.8, least=2)
    assert found
    taken = [path for own in found for path in own]
    assert len(taken) == len(set(taken))
    features = dict(zip(taken, scorer.image_features(taken).numpy(), strict=True))
    for middle, *others in found:
        assert all(features[middle] @ features[path] > 0.8 - 1e-5 for path in others)
    assert [len(own) for own in found] == sorted((len(own) for own in found), reverse=True)
    joined = [set(own) for own in index.groups(0.8)]
    assert all(any(set(own) <= group for group in joined) for own in found)
    with pytest.raises(ClipcondError, match=r"threshold: got 1\.5"):
        index.clusters(1.5)


def test_pictures_sums_and_vectors_are_looked_for(made, scorer):
    pictures, db = made
    index = Index.open(db)
    own = str(pictures / "7.png")
    assert index.search(own, top=1)[0].path == own
    assert index.search(own, top=1)[0].score == pytest.approx(1, abs=1e-5)
    both = scorer.image_features([own])[0] + 2 * scorer.text_features(["a fox"]).features[0]
    both -= scorer.text_features(["a car"]).features[0]
    vector = (both / both.norm()).numpy()
    said, given = index.search(f"{own} + 2*a fox - a car", top=9), index.search(vector, top=9)
    assert [hit.path for hit in said] == [hit.path for hit in given]
    with pytest.raises(ScoreError, match="a sign with nothing behind it"):
        index.search("a fox + ")
    with pytest.raises(ScoreError, match="cancel out"):
        index.search("a fox - a fox")


def test_filters_are_applied_before_the_nearest_are_taken(made):
    index = Index.open(made[1])
    hits = index.search("a fox", where="path LIKE '%/1_.png'", top=10)
    assert {Path(hit.path).name for hit in hits} == {f"1{n}.png" for n in range(10)}
    assert index.search("a fox", where="width > 32") == []
    assert (
        len(index.search("a fox", where="width = 32 AND height = 32 AND bytes > 10", top=COUNT))
        == COUNT
    )
    least = index.search("a fox", top=3)[1].score
    assert len(index.search("a fox", top=3, least=least)) == 2
    with pytest.raises(
        ClipcondError, match=r"where: 'colour = 1' is not understood .*No field named colour"
    ):
        index.search("a fox", where="colour = 1")
    with pytest.raises(ClipcondError, match="top: got 0"):
        index.search("a fox", top=0)


def test_near_duplicates_are_told_with_the_best_of_them(copied):
    pictures, index = copied
    shutil.copy(pictures / "3.png", pictures / "copy.png")
    with Image.open(pictures / "3.png") as picture:
        picture.convert("RGB").save(pictures / "close.jpg", quality=98)
    index.add([pictures])
    hits = index.search(str(pictures / "3.png"), top=3, distinct=0.97)
    names = {Path(path).name for path in (hits[0].path, *hits[0].alike)}
    assert {"3.png", "copy.png"} <= names
    assert len(hits) == 3
    together = next(own for own in index.groups(0.9999) if str(pictures / "3.png") in own)
    assert str(pictures / "copy.png") in together
    with pytest.raises(ClipcondError, match="threshold: got 2"):
        index.groups(2)


def test_a_second_run_touches_what_has_changed_and_nothing_else(copied, scorer, monkeypatch):
    pictures, index = copied
    counted = forwards(scorer, monkeypatch)
    assert index.add([pictures]).encoded == 0
    for number in range(10):  # ten each: added, deleted, renamed, changed
        scene = emoji.sample(1000 + number)
        emoji.render(scene, 32).save(pictures / f"new-{number}.png")
        (pictures / f"{number + 20}.png").unlink()
        (pictures / f"{number + 40}.png").rename(pictures / f"moved-{number}.png")
        emoji.render(emoji.sample(2000 + number), 32).save(pictures / f"{number + 60}.png")
    before = {row["path"]: row["vector"] for row in index.table.to_arrow().to_pylist()}
    found = index.add([pictures])
    assert sum(counted) == found.encoded
    assert found.encoded + found.known == 30
    assert 18 <= found.encoded <= 20  # two scenes may be the same picture
    assert found.removed == 20
    assert found.pictures == COUNT
    after = {row["path"]: row["vector"] for row in index.table.to_arrow().to_pylist()}
    for number in range(10):
        assert (
            after[str(pictures / f"moved-{number}.png")]
            == before[str(pictures / f"{number + 40}.png")]
        )
        assert str(pictures / f"{number + 20}.png") not in after
        assert (
            after[str(pictures / f"{number + 60}.png")]
            != before[str(pictures / f"{number + 60}.png")]
        )


def test_other_roots_stay(copied, tmp_path, scorer):
    _, index = copied
    other = tmp_path / "other"
    other.mkdir()
    emoji.render(emoji.sample(5000), 32).save(other / "a'b.png")
    assert index.add([other]).pictures == COUNT + 1
    (other / "a'b.png").unlink()
    assert index.add([other]).removed == 1
    assert len(index) == COUNT
    assert index.remove("path LIKE '%/1_.png'") == 10
    with pytest.raises(ClipcondError, match="no such folder"):
        index.add([tmp_path / "nothing"])


def test_members_of_archives_are_pictures(tmp_path, scorer):
    for number in range(3):
        emoji.render(emoji.sample(number), 32).save(tmp_path / f"{number}.png")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "0.png", "in/0.png")
    with tarfile.open(tmp_path / "b.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "1.png", "1.png")
    (tmp_path / "c.zip").write_bytes(b"no zip")
    index = Index.open(tmp_path / "db", scorer)
    found = index.add([tmp_path])
    assert found.pictures == 5
    assert (found.encoded, found.known) == (3, 2)  # the same content, encoded once
    assert len(found.failures) == 1
    assert "c.zip: File is not a zip file" in found.failures[0]
    hits = index.search(str(tmp_path / "0.png"), top=2)
    assert {hit.path for hit in hits} == {str(tmp_path / "0.png"), f"{tmp_path}/a.zip!/in/0.png"}


def test_what_pictures_say_are_columns(tmp_path, scorer, run_picture):
    exif = Image.Exif()
    exif[0x0132] = "2025:03:04 05:06:07"
    Image.new("RGB", (40, 20), "red").save(tmp_path / "photo.jpg", exif=exif)
    shutil.copy(run_picture, tmp_path / "drawn.png")
    index = Index.open(tmp_path / "db", scorer)
    index.add([tmp_path])
    (photo,) = index.search("red", where="date > '2025'")
    assert (photo.row["width"], photo.row["height"], photo.row["date"]) == (
        40,
        20,
        "2025-03-04T05:06:07",
    )
    (drawn,) = index.search("red", where="prompt IS NOT NULL")
    assert (drawn.row["prompt"], drawn.row["seed"], drawn.row["generator"]) == ("a fox", 7, "m")


@pytest.fixture
def run_picture(tmp_path_factory):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("clipcond", json.dumps({"scored_text": "a fox", "seed": 7, "model": "m"}))
    file = tmp_path_factory.mktemp("drawn") / "drawn.png"
    emoji.render(emoji.sample(9), 32).save(file, pnginfo=info)
    return file


def test_what_a_table_says_is_columns_too_and_moves_with_the_picture(copied, tmp_path):
    pictures, index = copied
    lines = [
        "file,caption,rating",
        "3.png,the third,5",
        "pictures/7.png,the seventh,",
        "gone.png,x,1",
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    told, lacking = index.tell(tmp_path / "t.csv")
    assert told == 2
    assert lacking == (f"{tmp_path / 't.csv'}: gone.png: is not in the index",)
    (hit,) = index.search("a fox", where="rating = '5'")
    assert (Path(hit.path).name, hit.row["caption"]) == ("3.png", "the third")
    (pictures / "3.png").rename(pictures / "moved.png")
    index.add([pictures])
    (hit,) = index.search("a fox", where="rating = '5'")
    assert Path(hit.path).name == "moved.png"
    (tmp_path / "own.csv").write_text("file,width\n3.png,5\n")
    with pytest.raises(ClipcondError, match="the index has a column 'width' of its own"):
        index.tell(tmp_path / "own.csv")


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # a larger file is refused, as by a disk that is full
from clipcond.cli import main
sys.exit(main(["search", "index", sys.argv[1], "--scorer", "judge", "--db", sys.argv[2]]))
"""


def test_a_full_disk_is_one_line_and_the_next_run_goes_on(made, tmp_path):
    db = tmp_path / "db"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(made[0]), str(db)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    said = done.stderr.splitlines()[-1]
    assert "cannot be written" in said
    assert "File too large" in said
    index = Index.open(db)
    index.add([made[0]])
    assert contents(index) == contents(Index.open(made[1]))


def test_hostile_folders_are_counted_and_named(tmp_path, scorer):
    emoji.render(emoji.sample(0), 32).save(tmp_path / "a\nb \u202egnp.png")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nothing.png")
    Image.new("1", (50_000, 2_000)).save(tmp_path / "huge.png")
    index = Index.open(tmp_path / "db", scorer)  # the index lies inside the folder
    found = index.add([tmp_path])
    assert found.pictures == 1
    said = "\n".join(found.failures)
    for name in ("empty.png", "text.jpg", "dangling.png", "huge.png"):
        assert name in said
    assert "more than 89,478,485 pixels" in said
    again = index.add([tmp_path])
    assert (again.pictures, again.encoded) == (1, 0)


def test_another_model_and_another_folder_are_refused(made, tmp_path):
    with pytest.raises(CheckpointError, match=r"was indexed with judge .*, not with emoji"):
        Index.open(made[1], "emoji").add([made[0]])
    (tmp_path / "x").write_text("x")
    with pytest.raises(ClipcondError, match="holds something else than an index"):
        Index.open(tmp_path)
    with pytest.raises(CheckpointError, match="holds no index"):
        Index.open(tmp_path / "new").search("a fox")


def test_two_writers_take_turns_and_readers_see_one_version(copied, scorer):
    pictures, index = copied
    with (
        FileLock(index.folder / ".lock"),
        pytest.raises(ClipcondError, match="another process is writing"),
    ):
        index.add([pictures])
    reader, counts = index.table, []

    def read():
        counts.extend(
            len(reader.search().select(["path"]).limit(None).to_list()) for _ in range(30)
        )

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(5):
        emoji.render(emoji.sample(7000 + number), 32).save(pictures / f"more-{number}.png")
    index.add([pictures])
    thread.join(60)
    assert set(counts) <= {COUNT, COUNT + 5}
    assert len(index) == COUNT + 5


def test_opening_and_asking_by_vector_load_no_torch(made):
    program = (
        "import sys, numpy; from clipcond.search import Index; index = Index.open(sys.argv[1]); "
        "hits = index.search(numpy.ones(index.about['dim'], 'float32'), top=3); "
        "print(len(hits), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(made[1])],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["3", "False"]


def test_a_clip_without_a_name_is_passed_again(tmp_path, scorer, made):
    Index.open(tmp_path / "db", scorer).add([made[0]])
    with pytest.raises(CheckpointError, match="which was given without a name"):
        Index.open(tmp_path / "db").search("a fox")
    assert len(Index.open(tmp_path / "db", "judge").search("a fox", top=2)) == 2


def test_too_few_pictures_need_no_approximate_index(made):
    with pytest.raises(ClipcondError, match="160 pictures are too few"):
        Index.open(made[1]).tune()


@pytest.mark.slow
def test_an_approximate_index_says_what_it_finds(tmp_path):
    from clipcond.search.table import COLUMNS, make_table, upsert

    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2000, 64)).astype("float32")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    (tmp_path / "about.json").write_text(json.dumps({"dim": 64}))
    table = make_table(tmp_path, 64)
    blank = dict.fromkeys(COLUMNS)
    upsert(
        table, [blank | {"path": f"{i}.png", "vector": v.tolist()} for i, v in enumerate(vectors)]
    )
    index = Index.open(tmp_path)
    told = index.tune()
    assert told["pictures"] == 2000
    assert told["recall"] > 0.8
    exact, near = (index.search(vectors[0], top=10, exact=exact) for exact in (True, False))
    assert exact[0].path == near[0].path == "0.png"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", [{"workers": 2}, {"name": "ray", "workers": 2}])
def test_it_is_the_same_whoever_encodes(made, scorer, engine, tmp_path):
    index = Index.open(tmp_path / "db", scorer)
    index.add([made[0]], engine=find_engine(**engine))
    assert contents(index) == contents(Index.open(made[1]))


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(made, tmp_path):
    words = [
        sys.executable,
        "-m",
        "clipcond",
        "search",
        "index",
        str(made[0]),
        "--scorer",
        "judge",
        "--db",
        str(tmp_path / "db"),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    rng = np.random.default_rng(0)
    for _ in range(4):
        with subprocess.Popen(
            words, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
        ) as process:
            end = threading.Event()
            for _ in range(1000):
                if process.poll() is not None or list(
                    (tmp_path / "db").glob(".indexing/*/*.safetensors")
                ):
                    break
                end.wait(0.02)
            end.wait(float(rng.random()) * 0.8)
            process.kill()
            process.wait(60)
    assert (
        subprocess.run(
            words, cwd=ROOT, env=environment, capture_output=True, check=False
        ).returncode
        == 0
    )
    assert contents(Index.open(tmp_path / "db")) == contents(Index.open(made[1]))
    assert not (tmp_path / "db" / ".indexing").exists()
