"""The command line: one thin sub-command per verb; nothing heavy is imported before a command runs."""

from clipcond.cli.main import main

__all__ = ["main"]
