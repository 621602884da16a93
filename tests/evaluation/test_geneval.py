"""GenEval's results: ours read as theirs, theirs stand beside ours."""

import json

import pytest

from clipcond.errors import ClipcondError
from clipcond.evaluation import Evaluation
from clipcond.evaluation.geneval import read_results, write_results
from clipcond.evaluation.job import judge_pictures
from clipcond.evaluation.judges import find_judges
from clipcond.evaluation.pictures import find_pictures


def test_what_is_written_has_what_its_summary_reads(run, tmp_path):
    write_results(run, tmp_path / "results.jsonl")
    found = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert len(found) == 24
    assert set(found[0]) == {"filename", "tag", "prompt", "correct", "reason", "metadata"}
    assert {row["tag"] for row in found} == {"single", "counting"}
    assert len({row["metadata"] for row in found}) == 6  # summary_scores.py counts prompts by it
    assert all(isinstance(row["correct"], bool) for row in found)
    assert all(bool(row["reason"]) != row["correct"] for row in found)
    with pytest.raises(ClipcondError, match="emoji: gives 0"):
        write_results(run, tmp_path / "no.jsonl", judge="emoji")
    with pytest.raises(
        ClipcondError, match="was not judged by 'yolo', but by emoji, judge, oracle"
    ):
        write_results(run, tmp_path / "no.jsonl", judge="yolo")


def test_a_detectors_verdicts_stand_beside_scores(run, tmp_path):
    source = run.folder / "pictures" / "01-long"
    lines = [
        {"filename": f"/elsewhere/{p.file.parts[-3]}/samples/{p.file.name}", "tag": "t", "prompt": p.prompt.text, "correct": i % 2 == 0, "reason": "", "metadata": "{}"}
        for i, p in enumerate(find_pictures(source)())
    ]  # fmt: skip
    results = tmp_path / "results.jsonl"
    results.write_text("".join(json.dumps(line) + "\n" for line in lines[:-1]))
    given = {"geneval": read_results(results)}
    judge_pictures(find_pictures(source), find_judges(["judge"]), tmp_path / "out", given=given)
    found = Evaluation.load(tmp_path / "out")
    assert found.scorers == ("judge", "geneval")
    assert list(found.table.geneval[:-1]) == [1.0, 0.0] * 5 + [1.0]
    assert "geneval: has no result for 00005/samples/0001.png" in found.failures[0]
    assert set(found.summary().scorer) == {"judge", "geneval"}
    with pytest.raises(
        ClipcondError, match="made with other given"
    ):  # other verdicts are not mixed in
        judge_pictures(find_pictures(source), find_judges(["judge"]), tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "not GenEval's results"),
        ("[1]", "not GenEval's results"),
        (
            '{"filename": "a/0/samples/0.png", "correct": true}\n' * 2,
            "line 2 judges 0/samples/0.png again",
        ),
    ],
)
def test_other_files_are_refused(tmp_path, text, said):
    (tmp_path / "r.jsonl").write_text(text)
    with pytest.raises(ClipcondError, match=said):
        read_results(tmp_path / "r.jsonl")
