"""A worker or maintenance of a run, which notes when the machine gave it no time."""

from failsoft.worker.process import main
from tests.chaos.stalls import of_this_program

if __name__ == "__main__":
    with of_this_program():
        main()
