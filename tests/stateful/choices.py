"""What the machine chooses from."""

from datetime import timedelta

from hypothesis import strategies as st

from failsoft.job_engine.policies.limits import Limit, Limits
from failsoft.job_engine.policies.uniqueness import UniqueKey, UniqueScope, hashed
from failsoft.job_engine.records.job import TryOutcome
from failsoft.job_engine.records.states import ABANDON, ACCEPT, RESUME
from failsoft.testing.ledger_suite.fixtures import FIRST, SECOND

engines = st.sampled_from((FIRST, SECOND))
spans = st.sampled_from((0, 1, 15, 61, 3600)).map(lambda seconds: timedelta(seconds=seconds))
delays = st.one_of(st.none(), spans)
keys = st.sampled_from((None, None, "a", "b"))
faults = st.sampled_from((*(None,) * 12, 0, 0, 0, 1, 2, 3, 4))
outcomes = st.sampled_from(TryOutcome)
rarely = st.sampled_from((False, False, False, True))
resolutions = st.sampled_from((RESUME, RESUME, ACCEPT, ABANDON))
MINUTE = timedelta(minutes=1)
limits = st.sampled_from(
    (
        Limits(Limit(hashed("one"), 1)),
        Limits(rate=Limit(hashed("two a minute"), 2, MINUTE)),
        Limits(Limit(hashed("both"), 1), Limit(hashed("both a minute"), 2, MINUTE)),
    )
)
WHILE_INCOMPLETE = [UniqueKey(hashed(each), UniqueScope.INCOMPLETE) for each in ("one", "two")]
uniques = st.sampled_from((*WHILE_INCOMPLETE, UniqueKey(hashed("begun"), UniqueScope.UNBEGUN)))
#: A mere retry, mostly, or an edited payload with a key that others may hold.
retrials = st.sampled_from(
    (*({},) * 4, *({"payload": "{}", "version": 1, "unique": each} for each in WHILE_INCOMPLETE))
)
numbers = st.integers(0, 2**10)
