"""The diagram of a job's states, drawn from the table of transitions."""

from failsoft.job_engine.records.states import TERMINAL, TRANSITIONS


def state_diagram() -> str:
    """Draw the table as a Mermaid state diagram, for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> offered: dispatch", "    [*] --> scheduled: dispatch"]
    lines += [
        f"    {source} --> {transition.target}: {transition.name}"
        for transition in TRANSITIONS
        for source in sorted(transition.sources)
    ]
    lines += [f"    {state} --> [*]" for state in sorted(TERMINAL)]
    return "\n".join(lines) + "\n"
