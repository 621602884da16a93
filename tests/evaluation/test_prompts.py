"""Prompt sets: every form that people have is read as it is, and what cannot be is named while the rest is done."""

import json

import pytest

from clipcond import emoji
from clipcond.errors import ClipcondError
from clipcond.evaluation import Columns, Prompt, read_prompts

# PartiPrompts quotes nothing: a value may begin with a quote
PARTI = (
    "Prompt\tCategory\tChallenge\tNote\n"
    "a corgi\tAnimals\tBasic\t\n"
    '"G I G" painted, with "quotes"\tIllustrations\tWriting & Symbols\t\n'
    'a sign that says "NO"\tWorld Knowledge\tBasic\tx\n'
)
GENEVAL = [
    {"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"},
    {"tag": "counting", "include": [{"class": "cup", "count": 2}], "prompt": "a photo of two cups"},
]  # fmt: skip


def write(folder, name, text, **how):
    file = folder / name
    file.write_text(text, encoding="utf-8", newline="", **how)
    return file


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_partiprompts(tmp_path, ends, mark):
    found = read_prompts(write(tmp_path, "P.tsv", mark + PARTI.replace("\n", ends)))
    assert found.prompts == (
        Prompt("a corgi", category="Animals"),
        Prompt('"G I G" painted, with "quotes"', category="Illustrations"),
        Prompt('a sign that says "NO"', category="World Knowledge"),
    )
    assert found.left_out == ()


def test_geneval_keeps_its_lines_for_its_detector(tmp_path):
    text = "\n".join(map(json.dumps, GENEVAL)) + "\n\n"
    found = read_prompts(write(tmp_path, "evaluation_metadata.jsonl", text)).prompts
    assert [(p.text, p.category) for p in found] == [(g["prompt"], g["tag"]) for g in GENEVAL]
    assert [json.loads(p.about) for p in found] == GENEVAL


def test_dpg_bench_is_a_folder_of_texts(tmp_path):
    write(tmp_path, "10.txt", "\ufeffA long\nprompt.\n")
    write(tmp_path, "9.txt", "Another.")
    write(tmp_path, "notes.md", "no prompt")
    found = read_prompts(tmp_path).prompts
    assert found == (Prompt("Another.", "9"), Prompt("A long prompt.", "10"))


def test_t2i_compbench_is_a_line_a_prompt_and_its_name_a_category(tmp_path):
    sources = [
        write(tmp_path, "color_val.txt", "a red book\r\n\r\na blue bowl\r\n"),
        write(tmp_path, "shape_val.txt", "a round cup"),
    ]
    found = read_prompts(sources).prompts
    assert [(p.text, p.category) for p in found] == [
        ("a red book", "color_val"),
        ("a blue bowl", "color_val"),
        ("a round cup", "shape_val"),
    ]


def test_the_emoji_tasks_are_built_in():
    for name, split in (("emoji", "held_out"), ("emoji-train", "train")):
        tasks = emoji.tasks(split=split)
        found = read_prompts(name).prompts
        assert [(p.category, p.text) for p in found] == [(t, p) for t in tasks for p in tasks[t]]


def test_tables_take_usual_names_numbers_as_ids_and_other_columns_by_option(tmp_path):
    rows = [{"id": 7, "Caption": "a cat", "task": "x"}, {"id": 8, "Caption": "a dog", "task": None}]
    file = write(tmp_path, "rows.jsonl", "\n".join(map(json.dumps, rows)))
    assert read_prompts(file).prompts == (Prompt("a cat", "7", "x"), Prompt("a dog", "8", ""))
    other = write(tmp_path, "rows.csv", 'what,kind\n"a cat, or\ttwo",k\n')
    columns = Columns(prompt="what", category="kind")
    assert read_prompts(other, columns).prompts == (Prompt("a cat, or\ttwo", "", "k"),)
    with pytest.raises(ClipcondError, match=r"no column 'prompt', but what, kind.*--prompt-column"):
        read_prompts(other)


def test_bad_prompts_are_named_and_the_rest_is_done(tmp_path):
    long = "a cat " * 170_000  # 1 MB
    rows = [
        ("1", "a cat"),
        ("2", long.strip()),
        ("1", "a dog"),
        ("3", " "),
        ("2", long.strip()),
        ("4", "a fox"),
    ]
    text = "id,prompt\n" + "".join(f'{i},"{prompt}"\n' for i, prompt in rows)
    found = read_prompts(write(tmp_path, "p.csv", text))
    assert [p.id for p in found.prompts] == ["1", "2", "4"]
    assert len(found.prompts[1].text) > 1_000_000
    another, empty, same = found.left_out
    assert "row 3: the id '1' is there already, of another prompt" in another
    assert "row 4: an empty prompt" in empty
    assert "of the same prompt" in same
    assert all(len(line) < 300 for line in found.left_out)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.csv", "prompt\n\n", "holds no row"),
        ("p.txt", "\n\n", "no prompt is left"),
        ("p.tsv", 'prompt\tcategory\n"a cat\n', "does not fit the header"),
        ("p.xlsx", "x", "its ending says no table"),
        ("p.jsonl", '{"prompt": 3}\n', "has no text in the column 'prompt', but 3"),
    ],
)
def test_what_holds_no_prompts_is_refused_in_a_line(tmp_path, name, text, said):
    with pytest.raises(ClipcondError, match=said) as error:
        read_prompts(write(tmp_path, name, text))
    assert "\n" not in str(error.value)


def test_what_is_not_there_is_said(tmp_path):
    for name in ("none.csv", "emojis"):
        with pytest.raises(ClipcondError, match=name):
            read_prompts(tmp_path / name)
    with pytest.raises(ClipcondError, match=r"holds no \.txt file"):
        read_prompts(tmp_path)
