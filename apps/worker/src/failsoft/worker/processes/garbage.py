"""How often a program looks for garbage: what it has loaded is none for as long as it runs.

To look through that while it is loaded, and once more at the end, takes a third of the processor
time of a start. A module that a program begins with imports this one before all else.
"""

import atexit
import gc

#: So many new objects are looked through at a time; a start makes about as many, and keeps them.
_SELDOM = 100_000
_USUAL = gc.get_threshold()


def collect_seldom() -> None:
    """Look for garbage seldom from now on, and not at the end of the process."""
    gc.set_threshold(_SELDOM)
    atexit.register(gc.freeze)


def keep_what_is_loaded() -> None:
    """Look for garbage as usual from now on, and not in what there is by now."""
    gc.freeze()
    gc.set_threshold(*_USUAL)
