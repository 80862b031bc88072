"""What a worker writes to Redis about its jobs, each in one script for any number of jobs.

The keys and fields are those that RQ 3.0's own worker leaves in each state of a job; what differs,
and why, stands in `docs/how-to/redis.md`. Every script has the keys of `KEYS`, in this order.
"""

#: The queue's list, its registry of started jobs, the worker's hash, the set of its executions, and
#: the mark of `rq suspend`.
KEYS = """
local queue, started, worker, executions, suspended = unpack(KEYS)
"""

#: Puts a job back where the next worker finds it first.
_PUT_BACK = """
local function put_back(id)
    local key = 'rq:job:' .. id
    if redis.call('EXISTS', key) == 1 then
        redis.call('HSET', key, 'status', 'queued', 'started_at', '', 'worker_name', '')
        redis.call('LPUSH', queue, id)
    end
end
"""

#: Forgets an execution; returns whether it was known.
_FORGET = """
local function forget(id, execution)
    local both = id .. ':' .. execution
    redis.call('ZREM', started, both)
    redis.call('DEL', 'rq:execution:' .. both, 'rq:executions:' .. id)
    return redis.call('SREM', executions, both) == 1
end
"""

#: Moves up to ARGV[1] jobs from the queue to the registries of the jobs that run.
#:
#: The moments are the whole seconds, the seconds and the text of one clock. What is longer than
#: anything of ours is deleted and does not leave Redis. Returns whether RQ is suspended, how many
#: jobs were refused, and the id, the execution and the data of each other.
TAKE = (
    KEYS
    + """
local most, ids, name, ttl = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])
local second, moment, text = tonumber(ARGV[5]), ARGV[6], ARGV[7]
local longest_id, longest_data = tonumber(ARGV[8]), tonumber(ARGV[9])
if redis.call('EXISTS', suspended) == 1 then
    return {1, 0}
end
-- Something else in the place of a registry is an error here, and not after a job was taken.
redis.call('ZCARD', started)
redis.call('SCARD', executions)
local is_registered = redis.call('HEXISTS', worker, 'birth') == 1
local refused, found = 0, {}
for number = 0, most - 1 do
    local id = redis.call('LPOP', queue)
    if not id then
        break
    end
    local key = 'rq:job:' .. id
    local size = redis.pcall('HSTRLEN', key, 'data')
    if #id > longest_id then
        refused = refused + 1
    elseif type(size) == 'number' and size > longest_data then
        redis.call('DEL', key)
        refused = refused + 1
    else
        local data = redis.pcall('HGET', key, 'data')
        if type(data) == 'string' then
            local execution = string.sub(ids, number * 32 + 1, number * 32 + 32)
            local both = id .. ':' .. execution
            redis.call('HSET', 'rq:execution:' .. both, 'id', execution, 'job_id', id,
                'created_at', moment, 'last_heartbeat', moment, 'worker_name', name)
            redis.call('EXPIRE', 'rq:execution:' .. both, ttl)
            redis.pcall('ZADD', 'rq:executions:' .. id, second + ttl + 60, execution)
            redis.call('EXPIRE', 'rq:executions:' .. id, ttl + 60)
            redis.call('ZADD', started, second + ttl, both)
            redis.call('SADD', executions, both)
            redis.call('HSET', key, 'status', 'started', 'started_at', text,
                'last_heartbeat', text, 'worker_name', name)
            redis.call('PERSIST', key)
            found[#found + 1] = id
            found[#found + 1] = execution
            found[#found + 1] = data
        end
    end
end
if #found > 0 then
    redis.call('EXPIRE', executions, ttl + 60)
    if is_registered then
        redis.call('HSET', worker, 'state', 'busy')
    end
end
return {0, refused, unpack(found)}
"""
)

#: Records the end of each job of ARGV: its id, its execution, what became of it, its seconds.
#:
#: `done` is counted, `refused` is not, and both are deleted; `back` is put back. An end whose reply
#: was lost may be recorded again: the job is neither counted nor put back twice.
END = (
    KEYS
    + _PUT_BACK
    + _FORGET
    + """
local count, seconds = 0, 0
for at = 1, #ARGV, 4 do
    local id, execution, what = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    local was_known = forget(id, execution)
    if what ~= 'back' then
        redis.call('DEL', 'rq:job:' .. id, 'rq:job:' .. id .. ':dependents',
            'rq:job::' .. id .. ':dependencies', 'rq:results:' .. id)
    elseif was_known then
        put_back(id)
    end
    if what == 'done' and was_known then
        count = count + 1
        seconds = seconds + tonumber(ARGV[at + 3])
    end
end
if redis.call('HEXISTS', worker, 'birth') == 1 then
    if count > 0 then
        redis.call('HINCRBY', worker, 'successful_job_count', count)
        redis.call('HINCRBYFLOAT', worker, 'total_working_time', string.format('%.6f', seconds))
    end
    if redis.call('SCARD', executions) == 0 then
        redis.call('HSET', worker, 'state', 'idle')
    end
end
"""
)

#: Renews the heartbeats of the executions of ARGV that the worker has; puts back every other.
#:
#: An execution that stands under the worker's name, and that the worker does not have, was taken by
#: a script whose reply was lost. Returns how many were put back.
RENEW = (
    KEYS
    + _PUT_BACK
    + _FORGET
    + """
local ttl, second, moment, text = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], ARGV[4]
local held, count = {}, 0
for at = 5, #ARGV do
    held[ARGV[at]] = true
end
for _, both in ipairs(redis.call('SMEMBERS', executions)) do
    local id, execution = string.sub(both, 1, -34), string.sub(both, -32)
    if not held[both] then
        forget(id, execution)
        put_back(id)
        count = count + 1
    else
        redis.call('HSET', 'rq:execution:' .. both, 'last_heartbeat', moment)
        redis.call('EXPIRE', 'rq:execution:' .. both, ttl)
        redis.call('ZADD', started, 'XX', second + ttl, both)
        redis.pcall('ZADD', 'rq:executions:' .. id, 'XX', second + ttl + 60, execution)
        redis.call('EXPIRE', 'rq:executions:' .. id, ttl + 60)
        if redis.call('EXISTS', 'rq:job:' .. id) == 1 then
            redis.call('HSET', 'rq:job:' .. id, 'last_heartbeat', text)
        end
    end
end
return count
"""
)
