"""A limit on how long something may take as a whole, whatever it is stuck in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


class Late(Exception):
    """The time was up."""


def within(seconds: float, call: Callable[[], _T]) -> _T:
    """What ``call`` returns or raises, or Late after ``seconds``.

    A socket's own timeout starts anew with each byte, so that a server which drips can hold a
    reader for ever. A call that is late is left to its thread, which does not hold up the exit.
    """
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend((True, call()))
        except BaseException as error:
            outcome.extend((False, error))

    thread = threading.Thread(target=run, daemon=True, name="medtoken-within")
    thread.start()
    thread.join(seconds)
    if len(outcome) != 2:
        raise Late
    good, result = outcome
    if not good:
        raise result
    value: _T = result
    return value
