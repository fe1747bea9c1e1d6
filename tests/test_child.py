import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from filter.child import ChildDiedError, OutOfTimeError, call
from filter.errors import InputError


def is_running(process_id):
    try:
        with open(f"/proc/{process_id}/stat") as stat:  # noqa: PTH123
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, limit_s=20):
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_one_child_answers_all_calls():
    assert call(os.getpid, timeout_s=20) == call(os.getpid, timeout_s=20) != os.getpid()
    assert [call(math.sqrt, n, timeout_s=20) for n in (4, 9)] == [2, 3]


def test_late_child_is_killed_and_replaced():
    before = call(os.getpid, timeout_s=20)
    started = time.monotonic()
    with pytest.raises(OutOfTimeError):
        call(time.sleep, 600, timeout_s=0.1)
    assert time.monotonic() - started < 20
    assert not is_running(before)
    assert call(os.getpid, timeout_s=20) != before


@pytest.mark.parametrize(
    ("function", "argument"), [(os._exit, 0), (math.sqrt, "x"), (math.sqrt, -1)], ids=["exit", "type", "value"]
)
def test_child_that_fails_is_replaced(function, argument):
    with pytest.raises(ChildDiedError):
        call(function, argument, timeout_s=20)
    assert call(math.sqrt, 4, timeout_s=20) == 2


def test_child_that_was_killed_meanwhile_is_replaced():
    before = call(os.getpid, timeout_s=20)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: not is_running(before))
    assert call(os.getpid, timeout_s=20) != before


def test_input_errors_come_through_whole():
    with pytest.raises(InputError) as caught:
        call(refuse, timeout_s=20)
    error = caught.value
    assert (error.reason, error.remedy, str(error)) == ("torn", "mend it", "torn; mend it")


def refuse():
    raise InputError("torn", remedy="mend it")


def test_what_a_function_prints_does_not_mix_with_answers():
    assert call(os.write, 1, b"noise", timeout_s=20) == 5
    assert call(math.sqrt, 4, timeout_s=20) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_process_takes_a_child_of_its_own():
    before = call(os.getpid, timeout_s=20)
    code = """
        import os
        from filter.child import call
        mine = call(os.getpid, timeout_s=20)
        forked = os.fork()
        if not forked:
            os._exit(call(os.getpid, timeout_s=20) == mine)
        _, status = os.waitpid(forked, 0)
        assert status == 0 and call(os.getpid, timeout_s=20) == mine
    """
    subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], check=True, timeout=60)
    assert call(os.getpid, timeout_s=20) == before


def test_ctrl_c_at_a_terminal_is_not_for_the_child():
    assert call(os.getpgrp, timeout_s=20) != os.getpgrp()
    if sys.version_info >= (3, 11):  # one session, so that the child shares the parent's priority
        assert call(os.getsid, 0, timeout_s=20) == os.getsid(0)


SLEEPER = """
    import os, sys, time
    from filter.child import call
    print(call(os.getpid, timeout_s=20), flush=True)
    call(time.sleep, 1000, timeout_s={limit})
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=["Ctrl-C", "TERM", "KILL"])
def test_no_child_outlives_its_parent(number):
    # A killed parent cannot kill its child; then the timer of the operating system does.
    code = textwrap.dedent(SLEEPER.format(limit=0.5 if number == signal.SIGKILL else 1000))
    if number == signal.SIGTERM:
        code = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n" + code
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        process_id = int(parent.stdout.readline())
        assert is_running(process_id)
        time.sleep(0.2)
        parent.send_signal(number)
        parent.wait(20)
    wait_until(lambda: not is_running(process_id))
