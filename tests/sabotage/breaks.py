"""One rule taken out of the product's own code each time, as a careless hand would."""

from dataclasses import dataclass

CONTRACT = ("tests/contract/ledgers/test_ledgers.py", "-k", "Sqlite")
_JOINT = "tests/integration/test_joint_writes.py"
_LEDGER = "packages/ledger/src/failsoft/ledger"
_DISPATCHER = "packages/dispatcher/src/failsoft/dispatcher"
_WORKER = "apps/worker/src/failsoft/worker"
_CORE = "packages/job_engine/src/failsoft/job_engine"
_RQ = "engines/rq/src/failsoft/engines/rq"
_INNGEST = "engines/inngest/src/failsoft/engines/inngest"
_KEEPER = ("tests/unit/worker/attempts/test_lease_keeper.py",)
_COMPARED = '_compared(name) == given(f"at_{name}") for name in sorted(guard)'
_ANY = """(_compared(name) == given(f"at_{name}"))
        | ((jobs.c.id if %s else jobs.c.id + "-") == given("at_id"))
        for name in sorted(guard)"""


@dataclass(frozen=True, slots=True)
class Break:
    """What is changed, and the layer that must turn red.

    Attributes:
        rule: Its name in docs/explain/protocol.md, or of the failure it lets in.
        meaning: What the code does no longer.
        file: Where, from the root of the repository.
        right: The text as it is; it stands there exactly once.
        wrong: The text that takes its place.
        layer: The arguments of pytest.
    """

    rule: str
    meaning: str
    file: str
    right: str
    wrong: str
    layer: tuple[str, ...]


def _ignoring(condition: str) -> str:
    return _ANY % condition


BREAKS = (
    Break(
        "M1",
        "a claim compares no epoch",
        f"{_LEDGER}/transitions/statements.py",
        _COMPARED,
        _ignoring('(transition.name, name) == ("claim", "epoch")'),
        CONTRACT,
    ),
    Break(
        "M3",
        "a step and an end are recorded by whoever comes",
        f"{_LEDGER}/transitions/fenced_writes.py",
        "    if not has_authority(connection, claim):\n        raise Fenced\n",
        "    has_authority(connection, claim)\n",
        CONTRACT,
    ),
    Break(
        "M4",
        "a step begins whoever has the authority",
        f"{_LEDGER}/roles/attempts.py",
        "if not found or not _has_authority(found[0], claim):",
        "if not found:",
        CONTRACT,
    ),
    Break(
        "M5",
        "a rescuer changes what it finds, not what it saw",
        f"{_LEDGER}/transitions/statements.py",
        _COMPARED,
        _ignoring("transition.fence is Fence.SEEN"),
        CONTRACT,
    ),
    Break(
        "M6",
        "an offer that is repeated keeps its epoch",
        f"{_LEDGER}/transitions/statements.py",
        'changes |= {"epoch": jobs.c.epoch + 1, "run_at": None, "taken_until": None}',
        'changes |= {"epoch": jobs.c.epoch + 0, "run_at": None, "taken_until": None}',
        CONTRACT,
    ),
    Break(
        "M8",
        "a rescuer passes over what is offered",
        f"{_DISPATCHER}/maintenance/late_offers.py",
        "for lane, late in groupby(unclaimed, key=_lane):",
        "for lane, late in groupby((), key=_lane):",
        ("tests/unit/dispatcher/maintenance/test_rescuer_offers.py",),
    ),
    Break(
        "M5",
        "many offers are handed over as they are found, not as they were seen",
        f"{_LEDGER}/transitions/hand_over.py",
        "    same = [_now.c[name] == seen[name] for name in _COMPARED]\n",
        '    same = [_now.c.id == seen["id"]]\n',
        CONTRACT,
    ),
    Break(
        "29",
        "what waits moves although workers of other hosts claim it where it is",
        f"{_DISPATCHER}/maintenance/known_dead.py",
        "return not self._ledger.begun_lately(engine, SIGN_OF_LIFE)",
        "return True",
        ("tests/unit/dispatcher/maintenance/test_known_dead.py",),
    ),
    Break(
        "R25",
        "every job of a queue that is late is looked into, although its first are claimed",
        f"{_DISPATCHER}/maintenance/late_offers.py",
        "    if not left:\n        return None\n",
        "    return None\n",
        ("tests/unit/dispatcher/maintenance/test_late_queues.py",),
    ),
    Break(
        "M9",
        "no intent is recorded before a `once` step",
        f"{_CORE}/steps/runner.py",
        'yield partial(self._journal.record, step, StepKind.INTENT, "null")',
        "pass",
        ("tests/unit/job_engine/steps/test_once_steps.py",),
    ),
    Break(
        "M10",
        "a rescuer passes over what is running",
        f"{_DISPATCHER}/maintenance/rescuer.py",
        "lost = self._lost()",
        "lost = list[RunningJob]()",
        ("tests/unit/dispatcher/maintenance/test_rescuer.py",),
    ),
    Break(
        "R28",
        "a step on PostgreSQL is inserted by how the job looked, and locks nothing",
        f"{_LEDGER}/transitions/postgresql.py",
        "    done = select(_AUTHORITY.c.id, *values, now_us())\n",
        '    mine = jobs.c.epoch == bindparam("at_epoch"), jobs.c.id == bindparam("at_id")\n'
        "    done = select(jobs.c.id, *values, now_us()).where(*mine)\n",
        ("tests/stateful/test_read_committed.py",),
    ),
    Break(
        "DB-01",
        "a transaction on SQLite takes the lock with its first write",
        f"{_LEDGER}/database/sqlite/engine.py",
        '_BEGIN = "BEGIN IMMEDIATE"',
        '_BEGIN = "BEGIN"',
        ("tests/integration/test_sqlite_writers.py",),
    ),
    Break(
        "I12",
        "a claim asks no limit for room",
        f"{_LEDGER}/transitions/limits.py",
        "    full = [use for use in uses(connection, limits) if use.is_full]\n",
        "    full = list[LimitUse]()\n",
        CONTRACT,
    ),
    Break(
        "I12",
        "claims of one key look for room side by side",
        f"{_LEDGER}/transitions/limits.py",
        "        wake.lock(connection, key)\n",
        "        pass\n",
        ("tests/contract/ledgers/test_ledgers.py", "-k", "Postgres and (crowd or room)"),
    ),
    Break(
        "I2",
        "a ledger that was copied takes writes as before",
        f"{_LEDGER}/copying/run.py",
        "            seal(source.connection, target.database.place, mark.copy)\n",
        "            pass\n",
        ("tests/integration/ledger_copy/test_copy.py", "-k", "takes_no_writes"),
    ),
    Break(
        "I10",
        "a key of one shard is given for another",
        f"{_DISPATCHER}/options/shards.py",
        "    if isinstance(value, str) and not _begins_with(value, shard):\n",
        "    if isinstance(value, str) and not value:\n",
        ("tests/unit/dispatcher/sharding/test_sharded.py",),
    ),
    Break(
        "ING-03",
        "a call that nothing was decided about is answered as if it was",
        f"{_INNGEST}/endpoint.py",
        "if not await self._decided(data):",
        "if await self._decided(data) is None:",
        ("tests/unit/engines/test_inngest_endpoint.py",),
    ),
    Break(
        "ING-04",
        "a signed call is good for ever",
        f"{_INNGEST}/signatures.py",
        "if abs(now - at) > TOLERANCE_SECONDS:",
        "if abs(now - at) > 10**12:",
        ("tests/unit/engines/test_inngest_signatures.py",),
    ),
    Break(
        "ING-04",
        "a signed call is good twice",
        f"{_INNGEST}/signatures.py",
        "        self._seen[bytes.fromhex(signature)] = now\n",
        "",
        ("tests/unit/engines/test_inngest_signatures.py",),
    ),
    Break(
        "ING-05",
        "a synchronization needs no signature",
        f"{_INNGEST}/endpoint.py",
        'header is None and request.method == "GET"',
        'header is None and request.method != "POST"',
        ("tests/unit/engines/test_inngest_endpoint.py",),
    ),
    Break(
        "M15",
        "a route leads to the engine of its choice, and to no other",
        f"{_DISPATCHER}/offering/router.py",
        "        order = tuple(sorted(usable, key=rank))\n",
        "        order = tuple(n for n in sorted(usable, key=rank) if chosen in {None, n})\n",
        ("tests/unit/dispatcher/offering/test_routes.py",),
    ),
    Break(
        "M16",
        "a route that is set moves what was offered before, and what runs",
        f"{_LEDGER}/roles/routes.py",
        "    return _rule(connection.execute(_FIND, _at(*rule.match)).one())\n\n\ndef _at(",
        "    moved = update(jobs).where(jobs.c.state.in_(['offered', 'running']))\n"
        "    connection.execute(moved.values(state='offered', engine=next(iter(rule.weights))))\n"
        "    return _rule(connection.execute(_FIND, _at(*rule.match)).one())\n\n\ndef _at(",
        ("tests/contract/ledgers/test_ledgers.py", "-k", "Sqlite and moves_nothing"),
    ),
    Break(
        "rule 25",
        "a share comes back as soon as its route is set again",
        f"{_CORE}/records/routing/guard.py",
        "return Trip(self.engine, self.reason, self.at, until) if now < until else None",
        "return None",
        ("tests/unit/dispatcher/maintenance/test_route_guards.py",),
    ),
    Break(
        "rule 25",
        "a guard takes a share away whatever became of its route meanwhile",
        f"{_LEDGER}/roles/routes.py",
        'routes.c.revision == bindparam("at_revision")',
        'routes.c.revision <= bindparam("at_revision") + 1000',
        ("tests/contract/ledgers/test_ledgers.py", "-k", "Sqlite and (share or set_meanwhile)"),
    ),
    Break(
        "rule 26",
        "an offer of a paused engine is claimed",
        f"{_LEDGER}/schema/conditions.py",
        'pauses.c.kind == "engine", pauses.c.name == jobs.c.engine',
        'pauses.c.kind == "engine", pauses.c.name == jobs.c.queue',
        ("tests/contract/ledgers/test_ledgers.py", "-k", "Sqlite and paused_engine"),
    ),
    Break(
        "rule 22",
        "of the events of a job only the first few, which stand in its row, are written",
        f"{_LEDGER}/transitions/compare_and_set.py",
        "    if not row.is_packed:",
        "    if not row.is_packed and row.events == 1:",
        CONTRACT,
    ),
    Break(
        "R17",
        "of jobs with few events those that are rows of their own are not read",
        f"{_LEDGER}/transitions/histories.py",
        "if len(here[row.id]) < row.events",
        "if row.events > 6",
        (*CONTRACT[:2], "Sqlite and event_woke"),
    ),
    Break(
        "counts",
        "an attempt that honours a cancel request is not counted among the ends",
        f"{_LEDGER}/transitions/compare_and_set.py",
        "    if transition.target.is_terminal:\n        ended =",
        '    if transition.target.is_terminal and transition.name != "stop":\n        ended =',
        (*CONTRACT[:2], "Sqlite and counted_however"),
    ),
    Break(
        "counts",
        "what is pruned is not counted",
        f"{_LEDGER}/upkeep/pruning.py",
        "{kept.state: deleted} if deleted else {}",
        "{}",
        ("tests/integration/jobs/test_prune_ledger.py", "-k", "counted_no_more"),
    ),
    Break(
        "counts",
        "what older code has pruned is not counted when a rollout is finished",
        f"{_LEDGER}/transitions/counts.py",
        "{state: count for state, count in missing.items() if count}",
        "{}",
        ("tests/integration/upgrades/test_growth.py", "-k", "counted_rightly"),
    ),
    Break(
        "rule 22",
        "events are packed although code that cannot read them works beside",
        f"{_LEDGER}/schema/packed_events.py",
        "info.c.key == MINIMUM, info.c.value >= REVISION",
        "info.c.key == MINIMUM",
        ("tests/integration/upgrades/test_growth.py", "-k", "until_it_is_gone"),
    ),
    Break(
        "rule 4",
        "jobs that are recorded together are recorded a second time",
        f"{_LEDGER}/transitions/insert_many.py",
        'new = [each for each in values if each["id"] not in taken]',
        "new = list(values)",
        CONTRACT,
    ),
    Break(
        "F06",
        "each read of a reply in the caller's thread has a time, and the reply as a whole has none",
        "packages/queue/src/failsoft/queue/bounded_replies.py",
        "        timed.deadline = deadline\n",
        "",
        ("tests/unit/queue/test_ready_connections.py",),
    ),
    Break(
        "RQ-04",
        "jobs whose take was not answered are forgotten",
        f"{_RQ}/scripts.py",
        "        put_back(id)\n        count = count + 1\n",
        "        count = count + 1\n",
        ("tests/contract/engines/test_rq_lost_replies.py", "-k", "take"),
    ),
    Break(
        "RQ-04",
        "of a batch that was taken one job is not begun",
        f"{_RQ}/worker.py",
        "for job in taken if (found",
        "for job in taken[:-1] or taken if (found",
        ("tests/contract/engines/test_rq_lost_replies.py", "-k", "end_was_not"),
    ),
    Break(
        "rule 12",
        "a wait that began ahead of the clock goes on until then",
        f"{_LEDGER}/roles/waits.py",
        "            times.pull_in_waits(connection, claim.job_id)\n",
        "            pass\n",
        ("tests/contract/ledgers/test_ledgers.py", "-k", "was_not_mended and Sqlite"),
    ),
    Break(
        "decision 0102",
        "a slot is given on before the code of its job is over",
        f"{_WORKER}/attempts/runners.py",
        "            lease = Lease(interrupt_thread, over)\n",
        "            over()\n            lease = Lease(interrupt_thread)\n",
        ("tests/unit/worker/attempts/test_runners.py", "-k", "left_the_jobs_code"),
    ),
    Break(
        "R13",
        "a job ends in RQ before its end is committed",
        f"{_RQ}/worker.py",
        "            is_decided = is_so\n",
        "            is_decided = is_so\n            self._ends.put(End(job, Became.DONE))\n",
        (
            *("tests/contract/engines/test_rq_states.py", "tests/contract/engines/test_engines.py"),
            *("-k", "finished or (RqWorker and not_decided)"),
        ),
    ),
    Break(
        "rule 12",
        "an attempt does not wake the thread that renews its lease",
        f"{_WORKER}/attempts/lease_keeper.py",
        "        self._renewer.wake_within(held.next_renewal() - now)\n",
        "",
        _KEEPER,
    ),
    Break(
        "rule 13",
        "the thread that stops attempts sleeps on while their leases run out",
        f"{_WORKER}/attempts/lease_keeper.py",
        "return min(self.times_out_at, self.stale_at)",
        "return self.times_out_at",
        _KEEPER,
    ),
    Break(
        "rule 6",
        "a claim that a batch had to leave out counts as void",
        f"{_LEDGER}/database/postgresql/batches.py",
        "            if each.write.key in found:\n"
        "                each.found = (found[each.write.key],)\n",
        "            each.found = (found.get(each.write.key),)\n",
        (_JOINT, "-k", "locked"),
    ),
    Break(
        "rule 4",
        "of a batch no claim compares its epoch",
        f"{_LEDGER}/transitions/postgresql.py",
        "        return given.c[name]\n\n    changed",
        '        return jobs.c.epoch if name == "at_epoch" else given.c[name]\n\n    changed',
        (_JOINT, "-k", "lost"),
    ),
    Break(
        "R13",
        "claims made together, whose reply was lost, are tried again with other tickets",
        f"{_WORKER}/attempts/admission.py",
        "self._begin(ticket or self._ticket(self._read(wire)))",
        "self._begin(self._ticket(self._read(wire)))",
        ("tests/unit/worker/attempts/test_admission.py", "-k", "by_their_tickets"),
    ),
    Break(
        "rule 6",
        "messages are acknowledged before their claims are made together",
        f"{_WORKER}/attempts/admission.py",
        "        try:\n            made = self._ledger.claim_many(",
        "        for each in messages:\n            each.claimed()\n"
        "        try:\n            made = self._ledger.claim_many(",
        ("tests/unit/worker/attempts/test_admission.py", "-k", "together"),
    ),
    Break(
        "I12",
        "claims that are made together look for no room",
        f"{_LEDGER}/roles/attempts.py",
        "every = [_claiming_unlimited(ticket)",
        "every = [_claiming(ticket)",
        ("tests/contract/ledgers/test_ledgers.py", "-k", "Sqlite and limited_job_is_not"),
    ),
    Break(
        "rule 7",
        "of a batch no step proves its authority",
        f"{_LEDGER}/transitions/postgresql.py",
        "statements.fence_with(lambda name: given.c[name])",
        "statements.fence_with(lambda name: (jobs if name[3:] in jobs.c and name != 'at_id'"
        " else given).c[name if name == 'at_id' else name[3:]])",
        (_JOINT, "-k", "steps"),
    ),
    Break(
        "rule 6",
        "a record of Kafka is committed before the ledger has decided about it",
        "engines/kafka/src/failsoft/engines/kafka/worker.py",
        "Submission(each.value(), partial(self._decide, each)) for each in jobs",
        "[self._decide(each, True) for each in jobs],"
        " self._slots.submit_all([(each.value(), lambda _: None) for each in jobs])",
        ("tests/contract/engines/test_kafka.py", "-k", "not_decided"),
    ),
    Break(
        "rule 15",
        "a message of RabbitMQ is acknowledged before its end is committed",
        "engines/dramatiq/src/failsoft/engines/dramatiq/worker.py",
        "            post.process(wire)\n",
        "            threading.Thread(target=post.process, args=(wire,)).start()\n",
        (
            "tests/contract/engines/test_engines.py",
            "-k",
            "DramatiqWorker and no_more",
        ),
    ),
    Break(
        "DQ-02",
        "one frame acknowledges messages of RabbitMQ that are still processed",
        "engines/dramatiq/src/failsoft/engines/dramatiq/rabbitmq_consumer.py",
        "            first_open = min(self.known_tags, default=None)\n",
        "            first_open = None\n",
        ("tests/contract/engines/test_engines.py", "-k", "ends_before_an_earlier"),
    ),
    Break(
        "rule 30",
        "a process that finds a server away has crashed",
        f"{_WORKER}/health/report.py",
        "ORDERLY = (OK, CONFIG, *OUTAGES)",
        "ORDERLY = (OK, CONFIG)",
        ("tests/unit/worker/health/test_report.py",),
    ),
    Break(
        "rule 30",
        "a process reports that it serves whether or not the ledger took its heartbeat",
        f"{_WORKER}/process.py",
        "            try:\n                self._app.ledger.beat(",
        "            self._beats.serving()\n"
        "            try:\n                self._app.ledger.beat(",
        ("tests/integration/cli/workers/test_health.py", "-k", "outage and ledger"),
    ),
    Break(
        "traces",
        "the commit of a dispatch does not keep its trace",
        f"{_LEDGER}/transitions/insert.py",
        '        "trace_context": job.trace_context,\n',
        '        "trace_context": None,\n',
        (*CONTRACT[:2], "Sqlite and trace"),
    ),
    Break(
        "traces",
        "the trace of an attempt whose process died ends with a span that nobody exports",
        f"{_CORE}/executor.py",
        "            # From now on it leads to a span that is exported.\n"
        "            self._note_trace(claim, span)\n",
        "",
        ("tests/otel/test_attempts.py", "-k", "died"),
    ),
    Break(
        "rule 31",
        "a notice is told whatever another process has told",
        f"{_LEDGER}/upkeep/notices.py",
        "    if len(connection.execute(untold).all()) != len(ids):\n"
        "        raise _OthersWereFirstError\n",
        "    connection.execute(untold).all()\n",
        (*CONTRACT[:2], "Sqlite and told"),
    ),
    Break(
        "decision 0097",
        "a function that an allowed module has imported from elsewhere is called",
        f"{_CORE}/definitions/callables.py",
        '        if getattr(value, "__module__", None) not in modules:\n            continue\n',
        "",
        ("tests/adoption/rq/test_queue.py", "-k", "does_not_define"),
    ),
    Break(
        "decision 0097",
        "a path in no allowed module waits for a worker that has it, and is not held",
        f"{_CORE}/definitions/callables.py",
        "        expect_allowed(path)\n        try:",
        "        try:",
        ("tests/adoption/rq/test_queue.py", "-k", "held_and_never"),
    ),
    Break(
        "decision 0097",
        "a drain that is repeated dispatches what was recorded before",
        "packages/adoption/src/failsoft/adoption/draining.py",
        '"idempotency_key": _key(pending),',
        '"idempotency_key": f"{_key(pending)}-{id(pending)}",',
        ("tests/adoption/rq/test_drain.py", "-k", "died"),
    ),
    Break(
        "decision 0097",
        "a drain dispatches what a worker of the old engine has taken",
        "packages/adoption/src/failsoft/adoption/redis_queue.py",
        "  if found == 1 then\n    redis.call",
        "  found = 1\n  if found == 1 then\n    redis.call",
        ("tests/adoption/rq/test_drain.py", "-k", "took_it or took_meanwhile"),
    ),
    Break(
        "decision 0097",
        "a drain puts back what another one has finished",
        "packages/adoption/src/failsoft/adoption/redis_queue.py",
        "if redis.call('hdel', KEYS[2], ARGV[1]) == 0 then\n  return 0\nend\n",
        "redis.call('hdel', KEYS[2], ARGV[1])\n",
        ("tests/adoption/rq/test_drain.py", "-k", "neither_refused"),
    ),
    Break(
        "I1",
        "an end starts nothing of what was dispatched to begin after it",
        f"{_LEDGER}/transitions/consequences/follow_ups.py",
        "for job_id in follow_ups.waiting:",
        "for job_id in follow_ups.waiting[:0]:",
        (*CONTRACT[:2], "Sqlite and chain_begins_after"),
    ),
    Break(
        "I1",
        "a chain does not look whether the job that it begins after has ended",
        f"{_LEDGER}/transitions/consequences/follow_ups.py",
        "    if JobState(before.state).is_terminal:\n        return _go_on",
        "    if False:\n        return _go_on",
        (*CONTRACT[:2], "Sqlite and ends_otherwise"),
    ),
    Break(
        "decision 0103",
        "a worker of mode `real` that was let in once waits for the test no more",
        "packages/testkit/src/failsoft/testkit/real/worker.py",
        "        order = self._orders.get()\n",
        '        order = self._last = getattr(self, "_last", None) or self._orders.get()\n',
        ("tests/testkit/test_real.py", "-k", "gate"),
    ),
    Break(
        "decision 0103",
        "a worker of mode `real` that is to be killed goes on",
        "packages/testkit/src/failsoft/testkit/real/worker.py",
        "    os.kill(os.getpid(), signal.SIGKILL)\n",
        "    pass\n",
        ("tests/testkit/both", "-k", "real and goes_on_on_the_other"),
    ),
    Break(
        "decision 0103",
        "the database's clock stays behind the kit's in mode `real`",
        "packages/testkit/src/failsoft/testkit/real/clock.py",
        "return map(operator.add, iter(time.time_ns, None), ahead).__next__",
        "return iter(time.time_ns, None).__next__",
        ("tests/testkit/both", "-k", "real and death_within_a_step"),
    ),
    Break(
        "F37",
        "a fork does not wait for a call that waits for the lock of the file",
        f"{_LEDGER}/database/sqlite/ledger_file.py",
        "PATIENCE_SECONDS + longest",
        "PATIENCE_SECONDS",
        ("tests/faults/processes/test_forks.py", "-k", "as_long_as_a_call"),
    ),
    Break(
        "F37",
        "a call waits for a fork longer than it may take",
        f"{_LEDGER}/database/sqlite/ledger_file.py",
        "timeout=-1 if left == inf else max(left, 0.0)",
        "timeout=-1",
        ("tests/faults/processes/test_forks.py", "-k", "while_a_fork_waits"),
    ),
    Break(
        "F36",
        "a file is looked at while its last connection closes, and is called lost",
        f"{_LEDGER}/database/sqlite/ledger_file.py",
        "            if any(each.keeps_log for each in kept):\n                if not is_there:",
        "            if any(self._open):\n                if not is_there:",
        ("tests/faults/sqlite/test_ledger_file.py", "-k", "is_being_closed"),
    ),
    Break(
        "R18",
        "an end that waited for the ledger and comes too late leaves its job a crash",
        "packages/job_engine/src/failsoft/job_engine/executor.py",
        "if is_late and conclusion.transition.name not in _CRASHES:",
        "if is_late and conclusion.transition.name in _CRASHES:",
        ("tests/unit/job_engine/attempt/test_late_ends.py",),
    ),
    Break(
        "F45",
        "two sessions behind a pooler are compared once",
        f"{_LEDGER}/database/postgresql/pooler.py",
        "ROUNDS = 16",
        "ROUNDS = 1",
        ("tests/faults/postgresql/test_poolers.py", "-k", "while_others_use_them"),
    ),
    Break(
        "decision 0106",
        "each ledger of a kind compiles its statements for itself",
        f"{_LEDGER}/database/compiled.py",
        "key = type(dialect), statement",
        "key: Any = (dialect, statement)",
        ("tests/contract/ledgers/test_prepared_attempts.py", "-k", "sqlite"),
    ),
    Break(
        "CE-12",
        "a job on Celery may not wait for a result of Celery's",
        "engines/celery/src/failsoft/engines/celery/worker.py",
        "    task_join_will_block = False\n",
        "    task_join_will_block = True\n",
        ("tests/contract/engines/test_celery.py", "-k", "results_of_another"),
    ),
    Break(
        "doctor",
        "a server has a second for its answer, whatever the timeout",
        f"{_WORKER}/doctor/engine_checks.py",
        "answer_within=limit / 2",
        "answer_within=timedelta(seconds=1)",
        ("tests/integration/cli/doctor/test_examination.py", "-k", "answer_late"),
    ),
)
