"""Records of others' topics, each of which becomes one job (rule 27)."""
