"""Places in lists, as text that goes to a reader and comes back with the next page.

A cursor is no secret and no proof: it holds a place, and a hash by which one that was edited, or
that is of another list, is found.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from failsoft.job_engine.errors import OptionInvalidError
from failsoft.job_engine.validation import Expect

EXPECT = Expect(OptionInvalidError)
_MAX_CHARS = 1_000
_HASH_CHARS = 16


@dataclass(frozen=True, slots=True)
class Place:
    """The last item of a page: what the list is ordered by, and the id that decides ties.

    Attributes:
        at: A moment in microseconds since 1970 UTC; 0 in a list that is ordered by ids.
        id: The id; `AFTER_ALL` after all of that moment.
    """

    at: int
    id: str


#: Comes after every id.
AFTER_ALL = "\x7f"


def written(place: Place, of: str) -> str:
    """Return the cursor of a place in a list; `of` distinguishes the list from others."""
    body = f"{place.at}.{place.id}"
    whole = f"{_hash(of, body)}.{body}"
    return base64.urlsafe_b64encode(whole.encode()).decode().rstrip("=")


def read(cursor: str | None, of: str) -> Place | None:
    """Return the place of a cursor; None for none.

    Raises:
        OptionInvalidError: It is of another list, or was edited.
    """
    if cursor is None:
        return None
    EXPECT.text("a cursor", cursor, most=_MAX_CHARS)
    todo = "the place in the list does not fit its filter; start again without it"
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        whole = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        _, at, job_id = whole.split(".", 2)
        place = Place(int(at), job_id)
        # Of one place there is one cursor, also where base64 would not mind.
        is_ours = written(place, of) == cursor
    except (ValueError, binascii.Error):
        is_ours, place = False, Place(0, "")
    EXPECT.value(is_ours, "the cursor of a page of this list", cursor, todo)
    return place


def _hash(of: str, body: str) -> str:
    return hashlib.sha256(f"{of}\0{body}".encode()).hexdigest()[:_HASH_CHARS]
