"""Bugs that other job systems shipped, and the tests that show that they are not here."""

from dataclasses import dataclass

SUITE = "packages/testing/src/failsoft/testing/ledger_suite"
ACCEPTANCE = "tests/integration/acceptance"
KILLED = "test_a_job_whose_rq_worker_is_killed_goes_on_with_dramatiq_after_its_last_finished_step"


@dataclass(frozen=True, slots=True)
class Bug:
    """One bug, or one family of them.

    Attributes:
        what: What went wrong.
        shipped_by: Whose threads report it, as `owner/repository#number`.
        here: What comes of it here.
        tests: Files with the names of the tests in them that show it.
    """

    what: str
    shipped_by: tuple[str, ...]
    here: str
    tests: dict[str, tuple[str, ...]]


BUGS = (
    Bug(
        "A recovery scan acts on a stale view: the job ended, or was claimed again, between its "
        "read and its write",
        ("riverqueue/river#1302", "dbos-inc/dbos-transact-py#742", "rails/solid_queue#589"),
        "Every transition compares what was seen; a job that moved on is left alone",
        {
            "tests/faults/processes/test_rescuers.py": (
                "test_a_rescuer_that_wakes_with_a_stale_view_changes_nothing",
            ),
            f"{SUITE}/races.py": (
                "test_a_rescuer_and_a_finishing_attempt_do_not_both_win",
                "test_a_claim_and_a_rescuer_do_not_both_win",
            ),
            f"{SUITE}/attempts/offers.py": ("test_an_offer_loses_against_the_end_of_the_attempt",),
        },
    ),
    Bug(
        "The ledger drops out inside the recovery loop, and jobs not yet looked at are forgotten",
        ("dbos-inc/dbos-transact-py#716",),
        "The next look takes them on, and nothing twice",
        {
            "tests/unit/dispatcher/maintenance/test_rescuer.py": (
                "test_what_a_ledger_that_went_away_left_undone_is_done_at_the_next_look",
            ),
            f"{ACCEPTANCE}/test_ledger_outage.py": (
                "test_an_outage_of_the_ledger_starts_nothing_and_ends_nothing",
            ),
        },
    ),
    Bug(
        "A worker that is alive but late with its heartbeat is taken for dead, and finishes after "
        "its job was recovered elsewhere: two outcomes, a lock released twice",
        ("rails/solid_queue#761",),
        "The late attempt is fenced; one outcome, and its place under a limit is left once",
        {
            f"{ACCEPTANCE}/test_workers_lost.py": (
                "test_a_worker_that_was_frozen_past_its_lease_wakes_up_without_authority",
            ),
            "tests/faults/processes/test_workers_in_trouble.py": (
                "test_a_worker_whose_job_starves_the_renewal_loses_it_and_records_nothing",
            ),
            f"{SUITE}/dispatching/limits.py": (
                "test_a_lost_attempt_leaves_room_when_its_job_is_handed_over",
            ),
        },
    ),
    Bug(
        "A worker restarted under its old name keeps the jobs of the dead one from being recovered",
        ("oban-bg/oban#862", "dbos-inc/dbos-transact-py#804"),
        "Workers are known by a boot id, and a job by its lease, never by a name",
        {
            "tests/unit/dispatcher/maintenance/test_rescuer.py": (
                "test_a_worker_that_comes_back_under_its_old_name_does_not_keep_its_old_jobs",
            ),
            f"{SUITE}/attempts/rescue.py": ("test_a_worker_that_stops_is_forgotten_at_once",),
        },
    ),
    Bug(
        "A stale leader goes on firing cron jobs, for 19 days",
        ("oban-bg/oban#1488",),
        "There is no leader: a tick is one row, taken once",
        {
            f"{SUITE}/dispatching/schedules.py": (
                "test_a_tick_is_fired_once",
                "test_a_crowd_of_nodes_fires_each_tick_once",
                "test_a_tick_of_a_spec_that_was_replaced_is_not_fired",
            ),
            "tests/unit/dispatcher/maintenance/test_schedule_deploys.py": (
                "test_a_node_that_slept_cannot_fire_an_old_tick",
            ),
        },
    ),
    Bug(
        "The retry of a stalled job collides with its own unique key; a dead letter's replay is "
        "suppressed by its own idempotency key",
        ("procrastinate-org/procrastinate#1446", "hookdeck/outpost#670"),
        "A job is not in its own way, and a retry is a job of its own",
        {
            f"{SUITE}/dispatching/unique_keys.py": ("test_a_retry_is_not_blocked_by_its_own_key",),
            f"{SUITE}/control/retries.py": ("test_the_old_key_goes_on_pointing_at_the_old_job",),
            f"{SUITE}/control/retried_keys.py": ("test_a_retry_holds_the_key_until_it_has_ended",),
            "tests/features/dispatching/test_identity.py": (
                "test_a_dead_letter_is_tried_again_whatever_its_key",
            ),
        },
    ),
    Bug(
        "A key that an outage left behind blocks new jobs for ever",
        ("taskforcesh/bullmq#4311",),
        "Whatever ends a job frees its key in the same transaction; a period ends by itself",
        {
            f"{SUITE}/dispatching/unique_keys.py": (
                "test_every_end_frees_the_key_of_an_incomplete_job",
                "test_a_key_for_a_period_outlives_its_job_and_no_more",
            ),
        },
    ),
    Bug(
        "An enqueue that is refused, falls into a black hole, loses its reply, takes longer than "
        "it may, meets a server that takes no writes, or one without workers: lost, twice, hung; "
        "a worker that took it dies before it begins, or begins it after it was revoked",
        ("sidekiq/sidekiq#3303", "celery/celery#6911", "Bogdanp/dramatiq#881"),
        "The job is recorded first; each offer ends within the budget, and only the newest counts",
        {
            f"{ACCEPTANCE}/test_redis_lost.py": (
                "test_redis_killed_before_dispatch_costs_one_try_and_dramatiq_runs_the_jobs",
                "test_redis_frozen_at_dispatch_delays_it_by_its_budget_and_the_late_message_is_refused",
            ),
            "tests/faults/brokers/test_redis_faults.py": (
                "test_a_redis_that_falls_silent_without_a_word_costs_one_try",
                "test_a_redis_that_answers_and_takes_no_writes_is_passed_over",
            ),
            "tests/faults/brokers/test_rabbitmq_faults.py": (
                "test_a_message_whose_confirm_was_lost_is_refused_where_it_arrives",
                "test_six_copies_of_a_message_run_the_job_once",
                "test_a_rabbitmq_that_blocks_or_hangs_sends_jobs_back_to_rq",
            ),
            f"{ACCEPTANCE}/test_workers_lost.py": (
                "test_jobs_of_dead_rq_workers_go_to_dramatiq_although_redis_is_fine",
            ),
            "tests/crash_points/test_matrix.py": ("test_no_promise_breaks_at_any_point",),
            "tests/unit/dispatcher/dispatching/test_dispatcher.py": (
                "test_an_offer_that_arrived_after_all_is_void_once_the_job_was_handed_over",
            ),
        },
    ),
    Bug(
        "Both engines are down, and the job is lost or raised at the caller",
        ("rails/solid_queue#549", "PostHog/posthog#11784"),
        "It is parked, and delivered once when either is back",
        {
            f"{ACCEPTANCE}/test_fallback_lost.py": (
                "test_jobs_dispatched_while_both_brokers_are_down_wait_for_whichever_returns",
            ),
        },
    ),
    Bug(
        "The second place fails after the job was taken away from the first",
        ("symfony/symfony#64865",),
        "The ledger has the job all the while: it is parked",
        {
            "tests/unit/dispatcher/offering/test_offerer.py": (
                "test_a_job_that_no_engine_takes_is_parked_with_the_last_reason",
            ),
            "tests/unit/dispatcher/dispatching/test_dispatcher.py": (
                "test_a_job_that_no_engine_takes_is_parked_and_nothing_is_raised",
            ),
        },
    ),
    Bug(
        "The first engine comes back with the old message on its list, and the job runs again",
        ("laravel/ideas#235",),
        "The message has an old epoch, and is refused",
        {
            f"{ACCEPTANCE}/test_redis_lost.py": (
                "test_redis_restarted_from_its_dump_starts_no_job_that_ran_elsewhere",
            ),
        },
    ),
    Bug(
        "A worker dies after a step and before its acknowledgement, and the step runs again",
        ("triggerdotdev/trigger.dev#4627", "twentyhq/twenty#22518"),
        "The other engine goes on with the next step; the step that was cut off may run again, a "
        "`once` step is held",
        {
            f"{ACCEPTANCE}/test_workers_lost.py": (KILLED,),
            f"{ACCEPTANCE}/test_once_steps.py": (
                "test_in_doubt_the_job_is_held_and_the_step_is_not_begun_again",
                "test_what_verify_finds_out_decides",
            ),
        },
    ),
    Bug(
        "A deploy changes the steps of a job half-way, and a recorded result is taken for another",
        ("rails/rails: `ActiveJob::Continuation::InvalidStepError`",),
        "The job is held, and says which step it expected",
        {
            "tests/faults/processes/test_workers_in_trouble.py": (
                "test_a_job_that_goes_on_in_code_with_other_steps_is_held",
            ),
            "tests/unit/job_engine/steps/test_context.py": (
                "test_a_step_that_was_renamed_holds_the_job",
                "test_a_step_that_was_put_in_between_holds_the_job",
            ),
        },
    ),
    Bug(
        "A sleep ends early, late, twice or never: the engine that kept it was lost, clocks "
        "differed, or were changed for the summer",
        ("Bogdanp/dramatiq#431", "celery/kombu#337"),
        "The ledger keeps the time, on the database's clock",
        {
            f"{ACCEPTANCE}/test_fallback_lost.py": (
                "test_a_job_that_sleeps_while_its_engine_is_lost_wakes_on_the_other",
            ),
            "tests/faults/processes/test_clocks.py": (
                "test_clocks_that_are_hours_apart_take_no_job_from_who_works_on_it",
            ),
            "tests/unit/dispatcher/maintenance/test_cron.py": (
                "test_two_days_around_a_change_of_clocks_have_two_ticks",
            ),
        },
    ),
    Bug(
        "A bulk dispatch drops the delay and the priority of its items",
        ("laravel/framework#60950",),
        "Each item keeps its own options",
        {
            "tests/unit/dispatcher/dispatching/test_bulk.py": (
                "test_every_item_keeps_its_own_options",
            )
        },
    ),
    Bug(
        "`except Exception` in a job swallows what was to interrupt it",
        ("rails/rails", "dbos-inc/dbos-transact-py", "inngest/inngest-py"),
        "Interrupts are no exceptions, and every later call of the job raises them again",
        {
            "tests/unit/job_engine/attempt/test_swallowed_interrupts.py": (
                "test_interrupts_are_no_exceptions",
                "test_an_interrupt_ends_the_attempt_whatever_the_job_catches",
                "test_every_call_after_an_interrupt_raises_it_again",
            ),
        },
    ),
    Bug(
        "An enqueue in a transaction runs before its commit, stays after a rollback, or is lost "
        "when the process dies between the commit and the delivery",
        ("RealOrangeOne/django-tasks#189", "getlago/lago-api#6319"),
        "The job is in the caller's transaction; a rescuer sweeps up what was not delivered",
        {
            "tests/features/dispatching/test_transactional.py": (
                "test_it_runs_after_the_commit_and_not_before",
                "test_a_rollback_leaves_nothing",
                "test_what_a_crash_after_the_commit_leaves_is_swept_up",
            ),
        },
    ),
    Bug(
        "A process that opens and closes the database's file by itself, or is forked, drops "
        "SQLite's locks: the log is deleted under it, and what it commits is lost",
        ("mumble-voip/mumble#5031", "rails/solid_queue#324", "openclaw/openclaw#127855"),
        "SQLite alone opens the file; a fork closes what is idle, and a file that is not the one "
        "at its path any more is noticed before a commit",
        {
            "tests/faults/sqlite/test_ledger_file.py": (
                "test_nothing_that_the_product_does_drops_the_locks",
                "test_no_job_is_lost_to_a_process_that_opens_and_closes_the_ledger",
                "test_a_log_that_is_gone_stops_the_process_once_and_takes_nothing_with_it",
            ),
            "tests/faults/processes/test_forks.py": (
                "test_no_job_of_a_parent_or_its_children_is_lost",
                "test_a_child_that_is_forked_within_a_long_transaction_is_refused",
            ),
        },
    ),
    Bug(
        "A database that takes no writes for some seconds, as in a fail-over, leaves jobs running "
        "for ever, or pooled connections on the server that was demoted",
        ("jobrunr/jobrunr#1264", "brettwooldridge/HikariCP#1802", "thiagopradi/octopus#241"),
        "What it says then is an outage like any other: it is waited for, connections to it are "
        "dropped, and no job is charged",
        {
            "tests/faults/postgresql/test_unavailable_states.py": (
                "test_a_server_that_takes_no_writes_for_a_while_is_waited_for",
            ),
            "tests/faults/postgresql/test_promoted_replicas.py": (
                "test_a_promoted_replica_goes_on_with_every_accepted_job",
                "test_sessions_that_stay_open_to_a_demoted_primary_are_given_up",
            ),
        },
    ),
    Bug(
        "Behind a pooler that lends sessions for a transaction prepared statements are missing, "
        "or another client's",
        ("malthe/pq#30", "graphile/worker#125", "porsager/postgres#547"),
        "Such a pooler is found at connect and refused, or served by a mode of its own",
        {
            "tests/faults/postgresql/test_poolers.py": (
                "test_sessions_that_are_lent_are_refused_and_nothing_is_left_in_them",
                "test_the_mode_for_them_works_and_no_other_client_notices",
            ),
        },
    ),
    Bug(
        "A clock that is set back silences schedules until it has caught up",
        (
            "dbader/schedule#323",
            "sidekiq-scheduler/sidekiq-scheduler#283",
            "agronholm/apscheduler#351",
        ),
        "What lies further ahead than its timing can yield is pulled in",
        {
            "tests/faults/processes/test_clocks.py": (
                "test_a_ledger_whose_clock_was_set_for_a_while_delays_no_job",
                "test_a_host_whose_clock_was_set_for_a_while_delays_no_job",
            ),
            f"{SUITE}/attempts/clock_jumps.py": ("test_a_schedule_is_set_back_as_it_was_seen",),
        },
    ),
    Bug(
        "Equal payloads have different keys, by the order of a mapping or of a set",
        (
            "oban-bg/oban#704",
            "activesphere/exq-scheduler#42",
            "django-background-tasks/django-background-tasks#47",
        ),
        "Keys are made of one canonical form, the same in every process",
        {
            "tests/unit/job_engine/values/test_canonical.py": (
                "test_equal_payloads_have_equal_keys_whatever_the_process",
                "test_equal_payloads_have_equal_keys_whatever_the_order",
            ),
        },
    ),
    Bug(
        "What is read back of a result is another value: by aliases, excluded fields, or types "
        "that JSON does not know",
        ("pydantic/pydantic#10824", "pydantic/pydantic#602", "pydantic/pydantic-ai#6542"),
        "It is compared before it is recorded, and refused if it changed",
        {
            "tests/unit/job_engine/values/test_codec.py": (
                "test_what_json_changes_is_refused_where_no_annotation_says_what_it_is",
                "test_what_json_changes_is_refused_whatever_is_declared",
                "test_aliases_and_computed_fields_are_no_obstacle",
            ),
            "tests/unit/job_engine/values/test_step_results.py": (
                "test_a_value_that_json_changes_holds_the_job_before_it_is_recorded",
            ),
        },
    ),
    Bug(
        "`StopIteration` out of a thread is an exception that no future carries: the wait for it "
        "never ends, and takes a slot with it",
        ("python/cpython#112182", "langchain-ai/langchain#22997", "ray-project/ray#60521"),
        "A thread gives back what it raised like a value, and every slot comes back",
        {
            "tests/unit/job_engine/attempt/test_async_endings.py": (
                "test_an_attempt_ends_whatever_is_raised_wherever",
            ),
            "tests/integration/processes/test_endings.py": ("test_every_slot_comes_back",),
        },
    ),
    Bug(
        "What a task leaves in its thread or context, such as a tenant, the next one finds",
        ("celery/celery#1976", "hatchet-dev/hatchet#1711"),
        "Each attempt has a context of its own; what a job changes in its process is put back",
        {
            "tests/unit/job_engine/attempt/test_attempt_contexts.py": (
                "test_a_plain_attempt_leaves_nothing_in_its_thread",
                "test_an_async_attempt_leaves_nothing_in_its_thread",
            ),
            "tests/integration/processes/test_leftovers.py": (
                "test_no_job_finds_what_another_one_changed",
            ),
        },
    ),
    Bug(
        "A thread that a job leaves behind keeps its process from ending, and its slot taken",
        ("PostHog/posthog#41753", "Hydrospheredata/mist#303"),
        "The process of an attempt ends as soon as its end is recorded, with what is left in it",
        {
            "tests/integration/processes/test_leftovers.py": (
                "test_what_is_left_behind_in_a_child_ends_with_the_attempt",
                "test_threads_that_are_left_behind_keep_no_slot_of_threads",
            ),
        },
    ),
    Bug(
        "An exception in a child that was forked brings it back into the loop of its parent",
        ("ansible/ansible#51636",),
        "A claim is valid in the process that made it; a fork records nothing and ends",
        {
            "tests/integration/processes/test_forks.py": (
                "test_the_end_of_a_fork_is_not_the_attempts",
                "test_what_a_job_forked_ends_with_its_worker",
            ),
        },
    ),
    Bug(
        "A standard output or error that nothing reads any more kills jobs, or stops their worker",
        ("frappe/press#1873", "aiidateam/aiida-core#1006", "celery/celery#2291"),
        "Lines that are not read are dropped and counted; work goes on",
        {
            "tests/unit/worker/logs/test_streams.py": (
                "test_what_is_not_read_is_counted_and_waited_for_once",
                "test_a_stream_that_takes_nothing_stops_nothing",
            ),
        },
    ),
    Bug(
        "A user with the rights for one prefix of keys cannot run it, or is checked with rights "
        "that work does not need",
        ("rq/rq#1855", "conductor-oss/conductor#665", "akira/exq#481"),
        "The rights are documented and enough, for probes as for work",
        {
            "tests/contract/brokers/test_probes.py": (
                "test_a_user_who_may_offer_may_probe",
                "test_a_user_of_one_namespace_may_offer_and_probe",
            ),
            "tests/integration/security/test_permissions.py": (
                "test_jobs_run_as_the_documented_users_and_no_server_refuses_anything",
                "test_an_engine_is_used_again_after_its_outage_by_the_documented_users",
            ),
        },
    ),
)
