"""What was to be raised in a thread and is taken back leaves nothing behind."""

import subprocess
import sys

#: A lock is waited for in C, so that the interrupt is taken back before it is raised.
PROGRAM = """
import sys, threading
from failsoft.job_engine.attempt.interrupts import Fenced
from failsoft.worker.attempts.thread_interrupt import interrupt_thread

def function():
    return "traced"

def wait():
    began.set()
    lock.acquire()

lock, began = threading.Lock(), threading.Event()
lock.acquire()
waiting = threading.Thread(target=wait)
waiting.start()
began.wait()
interrupt_thread(waiting.ident, Fenced)
interrupt_thread(waiting.ident, None)
sys.settrace(lambda *_: None)
print(function())
sys.settrace(None)
lock.release()
waiting.join()
"""


def test_a_function_is_traced_after_an_interrupt_was_taken_back() -> None:
    ended = subprocess.run(
        (sys.executable, "-c", PROGRAM), capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.stdout == "traced\n", ended.stderr
