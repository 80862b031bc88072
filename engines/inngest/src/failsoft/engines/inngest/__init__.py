"""The engine inngest: one event an offer, one function a queue, called over HTTP."""

from failsoft.engines.inngest.mount import serve

__all__ = ["serve"]
