"""The web console of Failsoft, to mount in a program or to run alone.

`console` returns an ASGI application and `console_wsgi` a WSGI one. Both open nothing before the
first request. `Actor` is what an `authenticate` function returns.
"""

from failsoft.console.access.roles import Actor, Permission
from failsoft.console.mounting import console, console_wsgi

__all__ = ["Actor", "Permission", "console", "console_wsgi"]
