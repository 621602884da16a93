"""Errors as toasts: what the user did wrong in words, anything else in the log. The server lives on."""

import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from html import escape
from typing import Any

import gradio as gr

from clipcond.errors import ClipcondError

from .stream import Stopped

_log = logging.getLogger("clipcond.demos")
_MAX_MESSAGE = 600


def polite(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A handler whose errors become toasts."""
    if inspect.isgeneratorfunction(handler):

        @wraps(handler)
        def stream(*values: Any, **named: Any) -> Iterator[Any]:
            with toasts():
                yield from handler(*values, **named)

        return stream

    @wraps(handler)
    def call(*values: Any, **named: Any) -> Any:
        with toasts():
            return handler(*values, **named)

    return call


@contextmanager
def toasts() -> Iterator[None]:
    """Raise `gr.Error` in place of whatever comes out."""
    try:
        yield
    except ClipcondError as error:
        raise gr.Error(as_html(str(error)), title="Not quite", print_exception=False) from error
    except (gr.Error, Stopped):
        raise
    # the last resort at the page's edge: users get a line, the log gets the traceback
    except Exception as error:
        _log.exception("a handler failed")
        raise gr.Error(
            f"Something broke here ({escape(type(error).__name__)}); it is in the server's log. Try again.",
            title="Our fault",
            print_exception=False,
        ) from error


def as_html(message: str) -> str:
    """A message for a toast: its first line in words, an excerpt with its caret in monospace."""
    head, _, rest = message.partition("\n")
    head = head if len(head) <= _MAX_MESSAGE else head[:_MAX_MESSAGE] + " ..."
    head, rest = (escape(part, quote=False) for part in (head, rest[:_MAX_MESSAGE]))
    return head + (f"<pre>{rest}</pre>" if rest else "")
