"""JSON values: how payloads, results and steps are stored, compared and redacted.

Imports `errors`.
"""
