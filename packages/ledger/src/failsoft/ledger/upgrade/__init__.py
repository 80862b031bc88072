"""How migrations are carried out: step by step, each of them short, idempotent and resumable."""
