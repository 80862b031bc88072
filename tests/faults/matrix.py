"""The fault matrix: what goes wrong, and what must come of it (docs/evidence/faults.md)."""

from typing import NamedTuple


class Fault(NamedTuple):
    """One line of the matrix; `remark` says what a test does otherwise, and why."""

    id: str
    what: str
    expected: str
    remark: str = ""


MATRIX = (
    Fault(
        "F01",
        "The dispatcher is killed between its commit and its offer",
        "The job runs after the rescuers' patience; one outcome",
    ),
    Fault("F02", "The dispatcher is killed after its offer", "It runs once; nothing to repair"),
    Fault(
        "F03",
        "The dispatcher is killed, or its transaction aborted, before its commit",
        "No job, no message",
    ),
    Fault(
        "F04",
        "An offer times out and its message is stored all the same",
        "Offered to Dramatiq with epoch 2; RQ's copy is refused; one outcome",
    ),
    Fault("F05", "A confirm is lost; six copies", "The copies are refused at the claim"),
    Fault(
        "F06",
        "Redis is down",
        "The breaker opens; the job is offered to Dramatiq within the budget",
        "How long that takes is measured by `bench/dispatching/outages.py`.",
    ),
    Fault(
        "F07",
        "Redis falls silent: no reset, no answer",
        "Our own deadline ends the wait; as F06",
        "How long that takes is measured by `bench/dispatching/outages.py`.",
    ),
    Fault(
        "F08",
        "Redis is out of memory, a read-only replica, short of replicas, or evicts",
        "Passed over for Dramatiq; `failsoft doctor` tells of a policy that evicts",
        "A Redis that loads its dump refuses as one without replicas does; the moment is too "
        "short to be hit on purpose.",
    ),
    Fault(
        "F09",
        "Redis is killed and comes back from its dump after the job ran on Dramatiq",
        "The old message is refused; nothing runs again",
    ),
    Fault("F10", "Redis loses all its data", "Every job is offered again; none is lost"),
    Fault(
        "F11",
        "RabbitMQ is frozen, or has a memory or a disk alarm",
        "A deadline; the job goes to RQ or waits; nothing hangs",
        "How long a dispatch takes is measured by `bench/dispatching/outages.py`.",
    ),
    Fault("F12", "RabbitMQ is killed, loses a queue, loses a virtual host", "Offered again"),
    Fault("F13", "Both brokers are down", "Accepted; the jobs run when either of them is back"),
    Fault(
        "F14",
        "A worker is killed: before and after its claim, in a step, after its effect, after its "
        "record, before the end",
        "The job goes on elsewhere after its last finished step; that step may repeat once; one "
        "that must not repeat is held",
        "Every point is one of `tests/crash_points`.",
    ),
    Fault(
        "F15",
        "A worker is frozen past its lease at any of these points, and wakes",
        "The new attempt goes on; the old one records nothing",
        "Every point is one of `tests/crash_points`.",
    ),
    Fault("F16", "A worker is frozen for less than its lease", "It keeps its job"),
    Fault(
        "F17",
        "A worker's own job keeps it from renewing, for two leases",
        "Handed over; fenced; safe",
    ),
    Fault(
        "F18",
        "A worker loses its way to the ledger",
        "It stops by itself after 0.75 of its lease; the job goes on elsewhere",
    ),
    Fault(
        "F19",
        "A worker loses its way to the broker",
        "The redelivery is refused; the running job is not disturbed",
    ),
    Fault(
        "F20",
        "RabbitMQ's `consumer_timeout` closes the channel in the middle of a job",
        "The redelivery is refused; the job finishes",
    ),
    Fault(
        "F21",
        "The ledger is away, restarts, or ends a session at any statement",
        "Nothing starts, nothing is lost, nothing expires afterwards; a dispatch raises",
        "The outage lasts 5 seconds instead of 30, with leases that outlast it as the usual ones "
        "outlast 30.",
    ),
    Fault(
        "F22",
        "A commit succeeds and its reply is lost",
        "Repeating it changes nothing, or the lease runs out; nothing happens twice",
        "On PostgreSQL; SQLite has no network to lose a reply on. Workers that lose a reply are "
        "in `tests/crash_points`.",
    ),
    Fault(
        "F23",
        "A serialization failure, a deadlock, a busy SQLite",
        "Tried again within the budget",
    ),
    Fault(
        "F24",
        "Wall clocks an hour fast and an hour slow, and clocks that jump ahead and back",
        "No promise is touched; a rescue may be early or late on SQLite, guarded by a lease's "
        "worth of observation",
        "The clocks are moved inside Python, by a `sitecustomize`, and while the processes run by "
        "a library that is loaded before the C library; libfaketime is not everywhere.",
    ),
    Fault("F25", "Two rescuers; one wakes up with a stale view", "It loses, without effect"),
    Fault(
        "F26",
        "A cancel at every point",
        "Offered: it never starts. Claimed: no further step",
    ),
    Fault(
        "F27",
        "A payload that crashes the interpreter",
        "Failed after three crashes; its neighbours do not notice",
    ),
    Fault(
        "F28",
        "Messages that cannot be decoded, are too large, unsigned, replayed",
        "Dropped and counted; the worker goes on",
    ),
    Fault("F29", "A deploy renames a step of a running job", "Held, as not deterministic"),
    Fault(
        "F30",
        "A backlog of 10,000 on an RQ that works",
        "No storm of hand-overs, and a bounded one when it dies",
        "300 jobs in `make test`; 10,000 with the marker `long`.",
    ),
    Fault(
        "F31",
        "Redis comes and goes every two seconds for five minutes",
        "Bounded hand-overs; every job ends",
        "3 seconds in `make test`; five minutes with the marker `long`.",
    ),
    Fault(
        "F32",
        "The disk of a SQLite ledger is full",
        "A dispatch raises; running jobs try again, then stop by themselves; no corruption",
        "Full by the limit on the size of a process's files: a full file system needs root.",
    ),
    Fault(
        "F33",
        "The power fails: what was not synced is gone",
        "Accepted jobs survive",
        "SQLite runs on a file layer that keeps what was synced apart from what was written.",
    ),
    Fault(
        "F34",
        "A PostgreSQL that takes over has lost the last commits",
        "Lost commits are lost promises; but an epoch that is given twice has one authority",
        "By an older copy of the database, as a restore from a backup gives.",
    ),
    Fault(
        "F35",
        "A process forks with an open connection",
        "The child opens its own; on SQLite what is idle is closed before the fork",
        "What else a fork can meet on SQLite is F37.",
    ),
    Fault(
        "F36",
        "A process opens and closes the file of its SQLite ledger, or has another engine on it",
        "No code of ours does; one that does is noticed, and the locks are taken anew; no accepted "
        "job is lost",
    ),
    Fault(
        "F37",
        "A process forks with a SQLite ledger in use, or with a connection to it that is not ours",
        "The parent goes on unharmed; the child records with locks of its own, or is refused",
    ),
    Fault(
        "F38",
        "The file, the log or the index of a SQLite ledger is deleted, replaced or restored while "
        "it is in use",
        "Its processes accept nothing more for it and open it anew; `verify` and `doctor` tell of "
        "those that hold another file, and of messages whose job is missing",
    ),
    Fault(
        "F39",
        "A request is repeated when its job is pruned",
        "The key still stands for that job, for as long as it says",
    ),
    Fault(
        "F40",
        "A process whose settings lack an engine shares the ledger",
        "It leaves the jobs of that engine to others, charges them nothing, and goes on",
    ),
    Fault(
        "F41",
        "PostgreSQL answers nothing: on an open connection, while it is connected to, at all",
        "Every call of the ledger ends in its limit with `LedgerUnavailableError`; a stop ends",
        "How long that takes is promised in seconds and checked in half minutes: these machines "
        "are busy.",
    ),
    Fault(
        "F42",
        "PostgreSQL says that it cannot serve: read-only, failing over, full, starting up",
        "An outage: connections are dropped, the next ones lead to the new primary; no job pays",
        "Each state is raised by a trigger of the server's; what promoted replicas lose is F43.",
    ),
    Fault(
        "F43",
        "The ledger's PostgreSQL is killed or demoted, and its replica is promoted, under load",
        "With a synchronous replica no accepted job is lost; dispatches and workers go on with the "
        "new primary by themselves, and no job is charged; an asynchronous one loses what it had "
        "not received, and an epoch that is given twice has one authority",
    ),
    Fault(
        "F44",
        "The ledger is away for longer than a lease, again and again, or refuses every call",
        "The attempt stops and its claim is given back: no error, no crash; finished steps stay "
        "finished; one that was cut off alone takes back the crash that was charged",
    ),
    Fault(
        "F45",
        "PgBouncer lends the ledger's session to others",
        "Refused before anything is set in it; with `pooler=transaction` no promise is touched",
        "The whole contract of the ledger behind it with the marker `long`, a tenth in "
        "`make test`.",
    ),
    Fault(
        "F46",
        "The clock of the ledger's database jumps ahead or back, and comes back",
        "No schedule is silent, and no lease, beat, deadline or delay lasts longer, for the size "
        "of the jump; no tick is fired twice",
    ),
    Fault(
        "F47",
        "An upgrade of the ledger under load is killed and run again; old workers restart",
        "It goes on where it stopped; dispatches wait for a second at most; code of the release "
        "before works on",
        "On SQLite writers wait for the step under way: it has one writer at a time.",
    ),
    Fault(
        "F48",
        "Two programs with namespaces of their own share a Redis, and have jobs with one id",
        "Each has its own offer; neither takes back the other's",
    ),
    Fault(
        "F49",
        "Text, sizes and floods of a stranger: control characters in names and errors, secrets in "
        "URLs, a value of many megabytes, ten thousand forged messages, paths out of a folder",
        "Shown escaped and masked; refused before it is read; dropped and counted; the worker goes "
        "on within its memory",
    ),
    Fault(
        "F50",
        "PostgreSQL has no connection left",
        "A dispatch says so at once; workers wait; idle connections are given back",
    ),
    Fault(
        "F51",
        "Two ledgers stand behind one namespace on one broker",
        "The second is refused at start, and offers nothing there",
    ),
    Fault(
        "F52",
        "A worker process is killed whose lease has long to run",
        "Its jobs are handed over at the next look; those of one that is only silent are not",
    ),
    Fault(
        "F53",
        "A broker of another make: a Redis Cluster, a queue that was declared with other "
        "arguments, quorum queues, policies and delivery limits",
        "Refused at the start with what to use instead, or served; a dropped message is offered "
        "again",
        "RabbitMQ 3.10 of Debian 12.",
    ),
    Fault(
        "F54",
        "A PostgreSQL cluster under load: its primary is killed, switched over or cut off, and its "
        "store is left without a majority",
        "Dispatches and workers go on by themselves, seconds after there is a primary again; with "
        "synchronous replication no accepted job is lost, none is done twice, and none is charged",
        "Debian's Patroni and etcd, three nodes of each on addresses of their own; with the marker "
        "`long`, by `make test-cluster`, which needs root.",
    ),
    Fault(
        "F55",
        "A broker refuses one queue: it is full, or its user has no right to it; a user who may do "
        "no more than the documents say, and an outage; an engine that is disabled in the ledger",
        "The other queues go on; the engine is used again after its outage; a disabled engine gets "
        "nothing from any process, until it is enabled",
    ),
    Fault(
        "F56",
        "A database in another encoding than UTF-8, a client that is told of another, a text that "
        "no database can hold",
        "Refused by `ledger upgrade` and at the start; sent as UTF-8; the ledger's error, nothing "
        "of it stored",
    ),
    Fault(
        "F57",
        "A job forks, and the child returns, raises, exits, goes on in the job's context or is "
        "terminated",
        "The attempt stays its parent's; the child records nothing, ends where the job's code "
        "does, and leaves no copy of the worker",
    ),
    Fault(
        "F58",
        "A job leaves threads, executors or processes behind",
        "Its slot is another job's at once; in a child they end with the attempt",
    ),
    Fault(
        "F59",
        "Quorum queues on three nodes of RabbitMQ under load: the leader is killed, cut off, or "
        "left in a minority with its clients; two nodes are cut off; a worker is killed meanwhile",
        "Where a majority is left, dispatches, offers and workers go on by themselves, otherwise "
        "when it is back; no job is lost, none has two authorities, and the one that was cut off "
        "half-way goes on after its last finished step",
        "Engines `dramatiq` and `celery`, each node on an address of its own; with the marker "
        "`long`, by `make test-cluster`, which needs root.",
    ),
    Fault(
        "F60",
        "A Valkey behind Sentinels under load: it is switched over, killed, cut off, left in a "
        "minority with its clients, or loses both replicas; a worker is killed meanwhile",
        "As F59: a promoted replica is found by itself; what the former primary had taken and not "
        "passed on is offered again",
        "Engines `rq` and `dramatiq`, a Valkey and a Sentinel on each of three addresses; with the "
        "marker `long`, by `make test-cluster`, which needs root.",
    ),
)
