/*
 * The hand-off protocol in Promela: a second description, written apart from the product's table
 * and from the Python model beside it, so that each checks the other. `make model-spin` runs it.
 *
 * One job, one ledger whose statements are atomic, and the adversary of docs/explain/protocol.md: a message
 * that was sent may arrive any number of times at any later time or never, a lease may expire at
 * any instant, a process may vanish between any two actions, a reply may be lost, and somebody may
 * cancel at any time. Rules are taken away by -DM1 to -DM11; -DONLY=n asserts the promise In alone.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef RESCUERS
#define RESCUERS 2
#endif
#ifndef EPOCHS
#define EPOCHS 3
#endif
#ifndef STEPS
#define STEPS 2
#endif
#ifndef ONCE_AT
#define ONCE_AT 1
#endif
#ifndef SLEEP_AT
#define SLEEP_AT 9
#endif
#ifndef RETRIES
#define RETRIES 0
#endif
#ifndef RELEASES
#define RELEASES 0
#endif
#define MAX_CRASHES 3

#ifdef ONLY
#define PROMISE(n, what) assert(n != ONLY || (what))
#else
#define PROMISE(n, what) assert(what)
#endif

mtype = { scheduled, offered, running, succeeded, failed, cancelled, held };

/* The row. */
mtype state = offered;
byte epoch = 1;
bit engine = 0;
byte holder = 0;        /* whose claim id the row has: the worker's number plus one */
bool cancel_requested = false;
byte errors = 0;
byte crashes = 0;
byte releases = 0;
byte memos = 0;         /* a bit for each recorded step */
byte intent = 0;        /* the epoch in which the once step was intended */

/* Every message ever sent; its number is twice its epoch plus its engine. */
short sent = 0;

/* revision: whether the row is still as the carrier saw it; carrier 0 is the dispatcher. */
bool fresh[RESCUERS + 1];

/* For watching only. */
byte claimed = 0;       /* a bit for each epoch that was claimed */
byte rightful = 0;      /* who claimed the newest offer first, until the attempt ends */
bool begun = false;     /* the once step */

#define BIT(n) (1 << (n))
#define EPOCH_OF(m) ((m) / 2)
#define ENGINE_OF(m) ((m) % 2)
#define ENDED (state == succeeded || state == failed || state == cancelled)
#define AUTHORITY (state == running && epoch == at && holder == me + 1)

#ifdef M1
#define CLAIMABLE(m) (state == offered)
#else
#define CLAIMABLE(m) (state == offered && epoch == EPOCH_OF(m) && engine == ENGINE_OF(m))
#endif

#ifdef M6
#define OFFERS_LEFT true
#define NEW_EPOCH skip
#else
#define OFFERS_LEFT (epoch < EPOCHS)
#define NEW_EPOCH epoch = epoch + 1
#endif

inline revision_moves_on()
{
    other = 0;
    do
    :: other <= RESCUERS -> fresh[other] = false; other++
    :: else -> break
    od;
    other = 0
}

inline attempt_ends()
{
    holder = 0;
    rightful = 0
}

/* A step begins at the instant at which its authority check is answered. */
inline step_begins()
{
    PROMISE(5, !(memos & BIT(step)));
    PROMISE(6, step != ONCE_AT || !begun);
#ifndef M4
    PROMISE(9, !cancel_requested);
#endif
    if
    :: step == ONCE_AT -> begun = true
    :: else -> skip
    fi
}

inline claim()
{
    PROMISE(2, !(claimed & BIT(epoch)));
    PROMISE(4, !ENDED);
    PROMISE(8, ENGINE_OF(by) == engine);
    rightful = ((state == offered && !(claimed & BIT(epoch))) -> me + 1 : 0);
    claimed = claimed | BIT(epoch);
    state = running;
    holder = me + 1;
    at = epoch;
#ifdef M4
    known = memos;
#endif
    revision_moves_on();
    if
    :: true
    :: true -> goto asking
    fi
}

inline begin()
{
#ifdef M4
    if
    :: known & BIT(step) -> step++; goto ready
    :: else
    fi;
    if
    :: step == ONCE_AT && intent == 0 -> intent = at
    :: else
    fi;
#else
    if
    :: !AUTHORITY -> goto idle
    :: AUTHORITY && cancel_requested -> goto stop
    :: AUTHORITY && !cancel_requested && (memos & BIT(step)) -> step++; goto ready
    :: else
    fi;
#ifndef M9
    if
    :: step != ONCE_AT || intent == at
    :: step == ONCE_AT && intent != 0 && intent != at -> goto hold
    :: step == ONCE_AT && intent == 0 ->
        intent = at;
        revision_moves_on();
        if
        :: true
        :: true -> goto ready   /* the reply was lost */
        fi
    fi;
#endif
#endif
    step_begins();
    goto body
}

inline record()
{
#ifndef M3
    if
    :: !AUTHORITY -> goto idle
    :: else
    fi;
#endif
    PROMISE(3, rightful == me + 1);
    memos = memos | BIT(step);
    revision_moves_on();
    if
    :: goto body    /* the reply was lost */
    :: step++
    fi;
#ifdef M11
    if
    :: step < STEPS && step != ONCE_AT && step != SLEEP_AT -> goto vouched
    :: else
    fi;
#endif
    goto ready
}

/* End the attempt; a cancel request turns every end but success into `cancelled` (I9). */
inline conclude(allowed, to, error, crash, release, memo)
{
    if
    :: allowed ->
        PROMISE(3, rightful == me + 1);
        PROMISE(4, !ENDED);
        if
        :: cancel_requested && to != succeeded -> state = cancelled
        :: else ->
            state = to;
            errors = errors + error;
            crashes = crashes + crash;
            releases = releases + release;
            memos = memos | memo
        fi;
        attempt_ends();
        revision_moves_on();
        if
        :: true
        :: true -> goto ready   /* the reply was lost */
        fi
    :: else
    fi;
    goto idle
}

#ifdef M2
#define CLAIM goto reading
#else
#define CLAIM claim(); goto ready
#endif

#ifdef M3
#define MAY_SUCCEED true
#else
#define MAY_SUCCEED AUTHORITY
#endif

proctype Worker(byte me)
{
    byte at = 0;        /* the epoch of the claim */
    byte by = 0;        /* the message that led to it */
    byte step = 0;
    byte known = 0;     /* M4: the steps that were recorded when it claimed */
    byte other = 0;

idle:
    atomic { at = 0; by = 0; step = 0; known = 0 }
end_idle:
    if
#define DELIVER(m) :: atomic { (sent & BIT(m)) && CLAIMABLE(m) -> by = m; CLAIM }
    DELIVER(2)
    DELIVER(3)
    DELIVER(4)
    DELIVER(5)
    DELIVER(6)
    DELIVER(7)
    DELIVER(8)
    DELIVER(9)
    DELIVER(10)
    DELIVER(11)
    fi;

#ifdef M2
reading:
    if
    :: goto idle
    :: atomic { true -> claim(); goto ready }
    fi;
#endif

asking:
    /* The reply to the claim was lost. */
    if
    :: goto idle
    :: atomic { AUTHORITY -> goto ready }
    :: atomic { !AUTHORITY && CLAIMABLE(by) -> claim(); goto ready }
    fi;

ready:
    if
    :: goto idle
    :: atomic { AUTHORITY -> revision_moves_on(); goto ready }
    :: atomic { releases < RELEASES -> conclude(AUTHORITY, scheduled, 0, 0, 1, 0) }
    :: atomic { crashes + 1 < MAX_CRASHES -> conclude(AUTHORITY, scheduled, 0, 1, 0, 0) }
    :: atomic { crashes + 1 >= MAX_CRASHES -> conclude(AUTHORITY, failed, 0, 1, 0, 0) }
    :: atomic { step == STEPS -> conclude(MAY_SUCCEED, succeeded, 0, 0, 0, 0) }
    :: atomic { step < STEPS -> begin() }
    fi;

body:
    if
    :: goto idle
    :: atomic { crashes + 1 < MAX_CRASHES -> conclude(AUTHORITY, scheduled, 0, 1, 0, 0) }
    :: atomic { crashes + 1 >= MAX_CRASHES -> conclude(AUTHORITY, failed, 0, 1, 0, 0) }
    :: atomic { step == SLEEP_AT -> conclude(AUTHORITY, scheduled, 0, 0, 0, BIT(step)) }
    :: atomic { step != SLEEP_AT -> conclude(AUTHORITY, failed, 1, 0, 0, 0) }
    :: atomic { step != SLEEP_AT && step != ONCE_AT && errors < RETRIES ->
        conclude(AUTHORITY, scheduled, 1, 0, 0, 0)
    }
    :: atomic { step != SLEEP_AT -> record() }
    fi;

#ifdef M11
vouched:
    if
    :: goto idle
    :: atomic { true -> step_begins(); goto body }
    fi;
#endif

stop:
    if
    :: goto idle
    :: atomic { true -> conclude(AUTHORITY, cancelled, 0, 0, 0, 0) }
    fi;

hold:
    if
    :: goto idle
    :: atomic { true -> conclude(AUTHORITY, held, 0, 0, 0, 0) }
    fi
}

#define OFFER(seen, charge) \
    atomic { \
        seen && OFFERS_LEFT -> \
            PROMISE(4, !ENDED); \
            state = offered; \
            NEW_EPOCH; \
            engine = 1 - engine; \
            charge; \
            attempt_ends(); \
            revision_moves_on(); \
            message = 2 * epoch + engine; \
            saw = offered; \
            fresh[me] = true; \
            goto carrying \
    }

proctype Carrier(byte me)
{
    mtype saw = offered;
    byte message = 2;
    byte other = 0;

    if
    :: me == 0 -> fresh[0] = true; goto carrying
    :: else -> goto idle
    fi;

idle:
    atomic { saw = offered; message = 0; fresh[me] = false }
end_idle:
    /* Whatever waits may be due, and whatever is silent may have been so for too long. */
    if
    :: atomic { me != 0 && state == scheduled -> saw = scheduled; fresh[me] = true }
#ifndef M8
    :: atomic { me != 0 && state == offered -> saw = offered; fresh[me] = true }
#endif
#ifndef M10
    :: atomic { me != 0 && state == running -> saw = running; fresh[me] = true }
#endif
    fi;

#ifdef M5
#define LOST_LEASE saw == running
#else
#define LOST_LEASE saw == running && state == running && fresh[me]
#endif

seen:
    if
    :: goto idle
    :: OFFER(saw == scheduled && state == scheduled && fresh[me], skip)
    :: OFFER(saw == offered && state == offered && fresh[me], skip)
    :: OFFER(LOST_LEASE && crashes + 1 < MAX_CRASHES, crashes++)
    :: atomic {
        saw == running && state == running && fresh[me] && crashes + 1 >= MAX_CRASHES ->
            state = failed;
            crashes++;
            attempt_ends();
            revision_moves_on();
            goto idle
    }
    fi;

carrying:
    if
    :: goto idle
    :: atomic {
        !(sent & BIT(message)) -> sent = sent | BIT(message);
#ifdef M7
        if
        :: me == 0 -> goto marking
        :: else -> skip
        fi;
#endif
        goto carrying
    }
    :: OFFER(state == offered && fresh[me], skip)
    :: atomic {
        state == offered && fresh[me] ->
            state = scheduled;
            revision_moves_on();
            goto idle
    }
    fi;

#ifdef M7
marking:
    atomic {
        PROMISE(4, !ENDED);
        state = offered;
        attempt_ends();
        revision_moves_on();
        goto idle
    }
#endif
}

#ifdef CANCEL
active proctype Client()
{
    byte other = 0;

end:
    do
    :: atomic { state == scheduled || state == offered || state == held ->
        state = cancelled;
        revision_moves_on()
    }
    :: atomic { state == running && !cancel_requested -> cancel_requested = true }
    od
}
#endif

/* I1: when no process can do anything any more, the job has ended or waits visibly. */
active proctype Watch()
{
    timeout;
    PROMISE(1, ENDED || state == held)
}

init {
    byte number = 0;

    atomic {
        do
        :: number < WORKERS -> run Worker(number); number++
        :: else -> break
        od;
        number = 0;
        do
        :: number <= RESCUERS -> run Carrier(number); number++
        :: else -> break
        od
    }
}
