"""Traces for OpenTelemetry, by its API alone (see `docs/how-to/traces.md`)."""
