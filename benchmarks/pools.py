"""What pools of processes do when one of their workers is killed over a task: `python -m benchmarks.pools`.

Eight tasks, of which the fourth kills its own process, as a crash in a library or the out-of-memory killer would.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal

import joblib

TASKS, DEADLY = 8, 3
PATIENCE_S = 20


def task(number):
    if number == DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def with_pool():
    with multiprocessing.Pool(2) as pool:
        return pool.map_async(task, range(TASKS), chunksize=1).get(timeout=PATIENCE_S)


def with_executor():
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        return list(pool.map(task, range(TASKS)))


def with_loky():
    return joblib.Parallel(2)(joblib.delayed(task)(number) for number in range(TASKS))


def main():
    for name, run in (
        ("multiprocessing.Pool", with_pool),
        ("concurrent.futures.ProcessPoolExecutor", with_executor),
        (f"joblib {joblib.__version__}, loky", with_loky),
    ):
        try:
            print(f"{name}: {run()}")
        except multiprocessing.TimeoutError:
            print(f"{name}: no result and no error in {PATIENCE_S} s")
        except Exception as error:
            print(f"{name}: {type(error).__name__}, no result")


if __name__ == "__main__":
    main()
