"""The engine inngest: one event an offer, one function a queue, called over HTTP."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from failsoft.engines.inngest.mount import serve
else:

    def __getattr__(name: str) -> object:
        # Imported at first use: a program that only dispatches loads no server.
        if name != "serve":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from failsoft.engines.inngest.mount import serve  # noqa: PLC0415 - see above

        return serve


__all__ = ["serve"]
