"""Pictures that exist: whichever way their prompts are known, and what cannot be known is said."""

import json

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from clipcond.errors import ClipcondError
from clipcond.evaluation.pictures import digest, find_pictures
from clipcond.evaluation.prompts import Prompt, PromptSet
from clipcond.evaluation.rows import look
from clipcond.tables import write_rows

PICTURE = Image.new("RGB", (8, 8), "red")
A1111 = """a (red:1.3) fox <lora:x:0.7>
BREAK in the snow
Negative prompt: blurry, "ugly"
Steps: 20, Sampler: "DPM++ 2M, Karras", CFG scale: 7, Seed: 123, Size: 8x8, Model: "sd, v1"
"""


def save(file, **texts):
    file.parent.mkdir(parents=True, exist_ok=True)
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    PICTURE.save(file, pnginfo=info)
    return file


def listed(source, **how):
    return list(find_pictures(source, **how)())


def test_geneval_folders(tmp_path):
    for number, prompt in enumerate(["a bench", "two cups"]):
        folder = tmp_path / f"{number:05d}"
        for sample in range(2):
            save(folder / "samples" / f"{sample:05d}.png")
        save(folder / "grid.png")
        about = {"tag": "t", "include": [], "prompt": prompt}
        (folder / "metadata.jsonl").write_text(json.dumps(about))
    save(tmp_path / "overview.png")
    found = listed(tmp_path)
    assert [(p.prompt.text, p.prompt.category, p.prompt.id, p.seed) for p in found] == [
        ("a bench", "t", "00000", 0),
        ("a bench", "t", "00000", 1),
        ("two cups", "t", "00001", 0),
        ("two cups", "t", "00001", 1),
    ]
    assert {p.model for p in found} == {tmp_path.name}
    (tmp_path / "00001" / "metadata.jsonl").write_text("{")
    assert "does not say its prompt" in listed(tmp_path)[2].problem


def test_t2i_compbench_names(tmp_path):
    save(tmp_path / "samples" / "a red book and a blue bowl_000003.png")
    save(tmp_path / "samples" / "IMG_000003.png")  # no sentence, so no prompt
    other, named = listed(tmp_path, model="m")
    assert (named.prompt, named.seed, named.model) == (Prompt("a red book and a blue bowl"), 3, "m")
    assert "nothing says its prompt" in look(other).picture.problem


def test_pngs_say_their_prompts_themselves(tmp_path):
    save(tmp_path / "1.png", parameters=A1111)
    record = {"scored_text": "a fox", "seed": 5, "model": "emoji"}
    save(tmp_path / "2.png", clipcond=json.dumps(record), parameters=A1111)
    save(tmp_path / "3.png", clipcond="{")
    theirs, ours, damaged = (look(each).picture for each in listed(tmp_path))
    assert (theirs.prompt.text, theirs.seed, theirs.model) == (
        "a red fox in the snow",
        123,
        "sd, v1",
    )
    assert (ours.prompt.text, ours.seed, ours.model) == ("a fox", 5, "emoji")
    assert "`clipcond` is damaged" in damaged.problem


def test_tables_name_files_beside_them(tmp_path):
    save(tmp_path / "a" / "1.png")
    rows = [
        {"file": "a/1.png", "prompt": "a fox", "category": "c", "model": "m", "seed": 3},
        {"file": "a/2.png", "prompt": "a cat", "category": "", "model": "", "seed": 4},
    ]
    write_rows(rows, tmp_path / "table.csv")
    first, second = listed(tmp_path / "table.csv")
    assert look(first).image.size == (8, 8)
    assert (first.prompt, first.model, first.seed) == (Prompt("a fox", "", "c"), "m", 3)
    assert second.model == "table"
    assert look(second).picture.problem == "no such picture file; check the path"


def test_prompts_are_found_by_ids_in_names(tmp_path):
    prompts = PromptSet((Prompt("one", "17"), Prompt("two", "a_2"), Prompt("three", "x")))
    for name in ("17.png", "17_3.png", "17-seed4.png", "a_2.png", "a_2_1.png", "x/5.png", "18.png"):
        save(tmp_path / name)
    found = {str(p.file.relative_to(tmp_path)): p for p in listed(tmp_path, prompts=prompts)}
    told = {name: (p.prompt and p.prompt.text, p.seed) for name, p in found.items()}
    assert told == {
        "17.png": ("one", None),
        "17_3.png": ("one", 3),
        "17-seed4.png": ("one", 4),
        "a_2.png": ("two", None),
        "a_2_1.png": ("two", 1),
        "x/5.png": ("three", 5),
        "18.png": (None, None),
    }
    assert "18.png is the name of no prompt's id (such as 17.png)" in found["18.png"].problem


def test_the_digest_tells_other_pictures_prompts_and_changes(tmp_path):
    file = save(tmp_path / "a b_000001.png")
    seen = {digest(find_pictures(tmp_path))}
    seen.add(digest(find_pictures(tmp_path, model="other")))
    save(tmp_path / "a c_000001.png")
    seen.add(digest(find_pictures(tmp_path)))
    Image.new("RGB", (9, 9)).save(file)
    seen.add(digest(find_pictures(tmp_path)))
    assert len(seen) == 4


def test_nothing_to_find_is_said(tmp_path):
    with pytest.raises(ClipcondError, match="holds no picture"):
        find_pictures(tmp_path)
    with pytest.raises(ClipcondError, match="no such folder or table"):
        find_pictures(tmp_path / "none")
