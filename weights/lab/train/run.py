"""Train everything, stage after stage; each is resumed from where it stopped, and its weights are whole after each call.

    python -m weights.lab.train.run --preset full --minutes 24                            # all in one go
    python -m weights.lab.train.run --preset full --minutes 24 --stage clip               # or each in a call of its own
    python -m weights.lab.train.run --preset full --minutes 24 --stage denoiser --call-minutes 9     # again, until it is over

Leaves `RUN/shipped/emoji` and `RUN/shipped/judge`, as `weights/` has them. `python -m weights.lab.train.plan` says before
what the minutes would give.
"""

import subprocess
import sys
from pathlib import Path

from weights.lab import reports

SHARES = {"clip": 0.25, "judge": 0.2, "denoiser": 0.55}  # of the minutes
PREPARED = {
    "tokenizer": "tokenizer",
    "autoencoder": "vae",
}  # made once, in seconds: stage -> folder


def command(stage: str, preset: str, run: Path, *options: str) -> list[str]:
    """The command line of one stage."""
    module, *more = ["clip", "--judge", "--seed", "1"] if stage == "judge" else [stage]
    line = [
        sys.executable,
        "-m",
        f"weights.lab.train.{module}",
        "--preset",
        preset,
        "--run",
        str(run),
    ]
    return [*line, *more, *options]


def prepare(preset: str, run: Path) -> None:
    """The tokenizer and the autoencoder, where the run has none yet."""
    for stage, folder in PREPARED.items():
        if not (run / folder).exists():
            subprocess.run(command(stage, preset, run), check=True)


def assemble(preset: str, run: Path) -> None:
    """The folders that ship."""
    shipped = run / "shipped"
    options = ("--out", str(shipped / "emoji"), "--judge", str(shipped / "judge"))
    subprocess.run(command("assemble", preset, run, *options), check=True)


def main() -> None:
    """Run what was asked for."""
    parser = reports.parser(__doc__, "preset", preset="small")
    parser.add_argument("--run", type=Path, help="folder of the run (runs/PRESET)")
    parser.add_argument("--minutes", type=float, required=True, help="of all stages together")
    parser.add_argument("--stage", choices=[*SHARES, "assemble"], help="only this one")
    args, rest = (
        parser.parse_known_args()
    )  # the rest goes to the stages: --call-minutes, --batch ...
    run = args.run or Path("runs") / args.preset
    prepare(args.preset, run)
    for stage in [args.stage] if args.stage else [*SHARES, "assemble"]:
        if stage == "assemble":
            assemble(args.preset, run)
        else:
            minutes = f"{args.minutes * SHARES[stage]:.3f}"
            options = ("--minutes", minutes, *rest)
            subprocess.run(command(stage, args.preset, run, *options), check=True)


if __name__ == "__main__":
    main()
