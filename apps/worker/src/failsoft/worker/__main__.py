"""One process of a worker: `python -m failsoft.worker ENGINE QUEUE`, as its supervisor has it."""

from failsoft.worker.processes.garbage import collect_seldom

if __name__ == "__main__":
    collect_seldom()
    from failsoft.worker.process import main

    main()
