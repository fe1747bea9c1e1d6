"""Calls a function in a child process that can be killed, for work that may never end.

A `Child` answers one call after another. `call` keeps one for the whole process: it is started when first needed and
replaced after it was killed. A child dies with its parent: it ends when the pipe from the parent closes, and a timer of
the operating system ends it in the midst of work.
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
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from .errors import InputError

__all__ = ["OUT_OF_MEMORY", "Child", "ChildDiedError", "OutOfTimeError", "call"]

_T = TypeVar("_T")

_GRACE_S = 2.0
"""How much later than the parent the operating system's timer strikes."""

# The path comes from the parent, so that both import the same modules; -I, so that nothing else is imported before.
_CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from filter.child import _serve; _serve()"


OUT_OF_MEMORY = 77
"""The exit code of a child that says it has no memory left."""

# Several children share a machine; a library that starts a thread for each processor in each of them slows all.
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


# In a group of its own, so that Ctrl-C reaches the parent alone, which then kills it. Not in a session of its own where
# Python can do without: Linux shares processor time among sessions, and a run at low priority would not be at one.
_APART: dict[str, Any] = {"process_group": 0} if sys.version_info >= (3, 11) else {"start_new_session": True}


class OutOfTimeError(Exception):
    """The call took longer than its limit; the child was killed."""


class ChildDiedError(Exception):
    """The child ended in the midst of the call, by a fault below Python or for want of memory; the text says how."""


class Child:
    """A process that answers one call after another."""

    def __init__(self) -> None:
        path = json.dumps([folder or str(Path.cwd()) for folder in sys.path])
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", _CODE, path],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            **_APART,
            env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
        )
        assert self.process.stdin and self.process.stdout
        with self.process.stdin as requests, self.process.stdout as answers:
            self._requests = Connection(os.dup(requests.fileno()), readable=False)
            self._answers = Connection(os.dup(answers.fileno()), writable=False)

    def call(
        self,
        function: Callable[..., _T],
        arguments: tuple[Any, ...],
        timeout_s: float | None,
        hear: Callable[[Any], None] | None = None,
    ) -> _T:
        """Return what a function of a module returns, called in the child.

        A child that raised an error must be replaced, unless it is an InputError.

        Args:
            function: can be imported by its name; runs with its standard output and standard error discarded.
            arguments: can be pickled, and the result too.
            timeout_s: limit in seconds, by the clock; None for no limit.
            hear: if given, the function gets one more argument: a function, and what that is called with is passed to
                `hear` here, and starts the time anew.

        Raises:
            OutOfTimeError: the limit was reached.
            ChildDiedError: the child ended before it answered.
            InputError: the function raised it. Any other exception counts as ChildDiedError.
        """
        with self._watched():
            self._answers.recv()  # it is ready; starting does not count
            limit_s = 0.0 if timeout_s is None else timeout_s + _GRACE_S
            self._requests.send((function, arguments, limit_s, hear is not None))
        while True:
            with self._watched():
                if not self._answers.poll(timeout_s):
                    self.process.kill()
                    raise OutOfTimeError
                answer: _Answer = self._answers.recv()
            if answer.error is not None:
                raise answer.error
            if answer.is_last:
                result: _T = answer.value
                return result
            assert hear
            hear(answer.value)  # whose errors are no death of the child

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise ChildDiedError(self._how_it_ended()) from error

    def _how_it_ended(self) -> str:
        try:
            code = self.process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        if code >= 0:
            return "it ran out of memory" if code == OUT_OF_MEMORY else f"it ended with exit code {code}"
        return f"it was ended by signal {-code}, {signal.strsignal(-code)}"

    def end(self) -> None:
        """Kill the process and close its pipes."""
        self.process.kill()
        self.process.wait()
        self._requests.close()
        self._answers.close()


class _Answer(NamedTuple):
    value: Any
    error: InputError | None = None
    is_last: bool = True


_lock = threading.Lock()
_child: Child | None = None


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
                _child = Child()
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
    requests, answers = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    has_timer = hasattr(signal, "setitimer")
    if has_timer:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, even deep in a library

    def start_timer(limit_s: float) -> None:
        if has_timer:
            signal.setitimer(signal.ITIMER_REAL, limit_s)

    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            answers.send("ready")
            function, arguments, limit_s, tells = requests.recv()

            def tell(value: Any, limit_s: float = limit_s) -> None:
                answers.send(_Answer(value, is_last=False))
                start_timer(limit_s)

            start_timer(limit_s)
            try:
                answer = _Answer(function(*arguments, tell) if tells else function(*arguments))
            except InputError as error:
                answer = _Answer(None, error)
            start_timer(0.0)
            answers.send(answer)
