"""Random prompts over every dialect: no hang, and nothing raised but PromptSyntaxError."""

import json
import subprocess
import sys

import pytest

# in a process of its own: here every function is wrapped by the shape checker, which is not what is tested
SCRIPT = """
import json, random, sys
from clipcond.errors import PromptSyntaxError
from clipcond.prompt import DIALECTS, parse

pieces, count = json.load(sys.stdin)
rng = random.Random(20)
outcomes = {dialect: [0, 0] for dialect in DIALECTS}
for number in range(count):
    dialect = rng.choice(list(DIALECTS))
    text = "".join(rng.choice(pieces) for _ in range(rng.randint(0, 30)))
    try:
        prompt = parse(text, dialect)
        for branch, weight in prompt.branches:
            for step in (0, 4, 9):
                for fragment in branch.fragments(step, 10):
                    assert 0 <= fragment.span[0] <= fragment.span[1] <= len(branch.text)
            assert branch.schedule(10)[-1][0] == 10
        assert all(0 <= a <= b <= len(text) for note in prompt.diagnostics for a, b in [note.span])
    except PromptSyntaxError as error:
        assert 0 <= error.span[0] <= error.span[1] <= len(error.text)
        assert str(error)
        outcomes[dialect][1] += 1
    except BaseException:
        sys.stderr.write(f"{dialect}: {text!r}\\n")
        raise
    else:
        outcomes[dialect][0] += 1
print(json.dumps(outcomes))
"""
PIECES = [" ", "  ", "\n", "\t", "\0", "\x0b", "\u2028", "\xa0"]
PIECES += (
    "a cat red . .. , : ; | ( ) [ ] { } < > \\ \" ' + - = ++ -- 1 0.5 1.3 :1.3) )1.2 )++ BREAK AND AND_PERP AND_SALT é 日 "
    '[a:b:0.5] [a|b] [c::3] <lora:x:0.5> \\( \\) \\[ \\] \\" \\, .and( .blend( .add( .swap( .attend( no_normalize '
    'withLora( withLora(x,0.5) (a (b) "a" ("a", ,"b") .blend(1,2) .and() .blnd(1) 2024 inf nan 1e5 -0 '
    "# #a // /* */ <a:b> <lora:y:te=1> < {a|b} __a__ ,, \\\\( :3) 1,3) ） ："  # noqa: RUF001
).split()


def run(count):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps([PIECES, count]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_two_thousand_random_prompts():
    for read, refused in run(2_000).values():
        assert read > 4 * refused


@pytest.mark.slow
def test_a_hundred_thousand_random_prompts():
    assert sum(map(sum, run(100_000).values())) == 100_000
