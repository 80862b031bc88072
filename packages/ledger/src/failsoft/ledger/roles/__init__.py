"""The ports that dispatches, attempts and people call, on SQL; imports `transitions` and below."""
