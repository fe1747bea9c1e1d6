"""Calls a function in a child process that can be killed, for work that may never end.

One child serves one process, call after call; it is started when first needed and replaced after it was killed. It
dies with its parent: it ends when the pipe from the parent closes, and a timer of the operating system ends it in the
midst of work.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from .errors import InputError

__all__ = ["ChildDiedError", "OutOfTimeError", "call"]

_T = TypeVar("_T")

_GRACE_S = 2.0
"""How much later than the parent the operating system's timer strikes."""

# The path comes from the parent, so that both import the same modules; -I, so that nothing else is imported before.
_CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from filter.child import _serve; _serve()"


class OutOfTimeError(Exception):
    """The call took longer than its limit; the child was killed."""


class ChildDiedError(Exception):
    """The child ended in the midst of the call, by a fault below Python or for want of memory."""


class _Child:
    """A process that answers one call after another."""

    def __init__(self) -> None:
        path = json.dumps([folder or str(Path.cwd()) for folder in sys.path])
        # In a session of its own, so that Ctrl-C reaches the parent alone, which then kills it.
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CODE, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def call(self, function: Callable[..., _T], arguments: tuple[Any, ...], timeout_s: float) -> _T:
        requests, answers = self.process.stdin, self.process.stdout
        assert requests and answers
        was_late = threading.Event()

        def kill() -> None:
            was_late.set()
            self.process.kill()

        try:
            pickle.load(answers)  # it is ready; starting does not count
            timer = threading.Timer(timeout_s, kill)
            timer.start()
            try:
                pickle.dump((function, arguments, timeout_s + _GRACE_S), requests, pickle.HIGHEST_PROTOCOL)
                requests.flush()
                answer: _Answer = pickle.load(answers)
            finally:
                timer.cancel()
                timer.join()
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            if was_late.is_set():
                raise OutOfTimeError from error
            raise ChildDiedError from error
        if answer.error is not None:
            raise answer.error
        result: _T = answer.value
        return result

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            with contextlib.suppress(OSError):  # what it has not read is lost with it
                pipe.close()


class _Answer(NamedTuple):
    value: Any
    error: InputError | None


_lock = threading.Lock()
_child: _Child | None = None


def call(function: Callable[..., _T], *arguments: Any, timeout_s: float) -> _T:
    """Return what a function of a module returns, called in the child.

    Args:
        function: can be imported by its name; runs with its standard output and standard error discarded.
        arguments: can be pickled, and the result too.
        timeout_s: limit in seconds, by the clock.

    Raises:
        OutOfTimeError: the limit was reached.
        ChildDiedError: the child ended before it answered, or cannot be started.
        InputError: the function raised it. Any other exception counts as ChildDiedError.

    >>> from math import sqrt
    >>> call(sqrt, 9, timeout_s=60)
    3.0
    """
    global _child
    with _lock:
        try:
            if _child is None or _child.process.poll() is not None:
                _end()
                _child = _Child()
            return _child.call(function, arguments, timeout_s)
        except InputError:
            raise
        except OSError as error:
            raise ChildDiedError from error
        except BaseException:  # Ctrl-C too: an answer that nobody waits for must not be taken for the next one
            _end()
            raise


def _end() -> None:
    global _child
    if _child is not None:
        _child.end()
    _child = None


def _forget() -> None:
    """After a fork the child still belongs to the parent alone."""
    global _child, _lock
    if _child is not None:
        _child.process.returncode = 0
    _child, _lock = None, threading.Lock()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _serve() -> None:
    """Answer calls until the parent is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    requests = sys.stdin.buffer
    has_timer = hasattr(signal, "setitimer")
    if has_timer:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, even deep in a library

    def answer(message: Any) -> None:
        pickle.dump(message, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()

    with contextlib.suppress(EOFError, BrokenPipeError):
        answer("ready")
        while True:
            function, arguments, limit_s = pickle.load(requests)
            if has_timer:
                signal.setitimer(signal.ITIMER_REAL, limit_s)
            try:
                message = _Answer(function(*arguments), None)
            except InputError as error:
                message = _Answer(None, error)
            if has_timer:
                signal.setitimer(signal.ITIMER_REAL, 0)
            answer(message)
            answer("ready")
