"""One attempt: its lease, its interrupts, its time limit, its loop; imports `ports` and below."""
