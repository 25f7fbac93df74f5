import {
  baseMark,
  deduplicationStart,
  defaultMaxEvents,
  eventArgs,
  jobFields,
  keyNames,
  lockSuffix,
  metaFields,
  neverReached,
  priorityStep,
  tokenSeparator,
} from './bullmq-names.ts';
import { ownKeyNames } from './keys.ts';
import { defineScript } from './lua.ts';

const { active, wait, prioritized, failed, marker, events } = keyNames;

/** In Lua, the current time in milliseconds since 1970 as `now`. */
export const luaNow = `
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
`;

/** In Lua, how many events the queue of this `meta` keeps: as many as its owner says, or as BullMQ keeps by itself. */
export const luaMostEvents = (meta: string) =>
  `tonumber(redis.call('HGET', ${meta}, '${metaFields.maxEvents}') or '') or ${defaultMaxEvents}`;

/** A worker that lives did not crash: what was noted of it when its lock had run out is taken back. */
const retract = `
local function retract(job, token)
  local worker = string.match(token, '^[^${tokenSeparator}]+')
  local crashes = redis.call('HGET', job, 'i:crashes')
  if not crashes then return end
  local kept = {}
  for crash in string.gmatch(crashes, '%S+') do
    if not string.find(crash, ',' .. worker .. ',expired', 1, true) then kept[#kept + 1] = crash end
  end
  redis.call('HSET', job, 'i:crashes', table.concat(kept, ' '))
end
`;

/**
 * Renews the locks of running jobs. A lock that ran out is taken back if the job is still this worker's: nobody has
 * fetched it since (`ats`, BullMQ's count of fetches, is the same), it has not been settled, and it is active or waiting.
 * ARGV: key start, lock duration, then id, token and fetch number of each job.
 * Returns one of "held", "settled" and "lost" for each.
 */
export const renewLocks = defineScript(active, wait, prioritized)`
${retract}
local states = {}
for i = 3, #ARGV, 3 do
  local id, token, starts = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local job = ARGV[1] .. id
  local holder = redis.call('GET', job .. '${lockSuffix}')
  local state = 'lost'
  if holder == token then
    redis.call('PEXPIRE', job .. '${lockSuffix}', ARGV[2])
    state = 'held'
  else
    local known = redis.call('HMGET', job, '${jobFields.starts}', 'i:settled')
    if known[2] == starts then
      state = 'settled'
    elseif not holder and known[1] == starts then
      local found = redis.call('LREM', KEYS[1], -1, id)
      if found == 0 then found = redis.call('LREM', KEYS[2], -1, id) end
      if found == 0 then found = redis.call('ZREM', KEYS[3], id) end
      if found > 0 then
        redis.call('LPUSH', KEYS[1], id)
        redis.call('SET', job .. '${lockSuffix}', token, 'PX', ARGV[2])
        retract(job, token)
        state = 'held'
      end
    end
  end
  if state == 'lost' then retract(job, token) end
  states[#states + 1] = state
end
return states
`;

/**
 * Puts a job of this worker's back at the head of the queue, with fields to remember. Returns 0 when another worker has
 * the job. KEYS: job, then the script's own. ARGV: id, token, fetch number, then fields and values.
 */
export const putBack = defineScript(active, wait, prioritized, marker, events)`
local id, token, starts = ARGV[1], ARGV[2], ARGV[3]
local holder = redis.call('GET', KEYS[1] .. '${lockSuffix}')
if holder ~= token then
  local known = redis.call('HMGET', KEYS[1], '${jobFields.starts}', 'i:settled')
  if holder or known[1] ~= starts or known[2] == starts then return 0 end
end
redis.call('DEL', KEYS[1] .. '${lockSuffix}')
redis.call('LREM', KEYS[2], -1, id)
redis.call('LREM', KEYS[3], -1, id)
redis.call('ZREM', KEYS[4], id)
redis.call('HSET', KEYS[1], 'i:settled', starts, unpack(ARGV, 4))
local priority = tonumber(redis.call('HGET', KEYS[1], '${jobFields.priority}') or '0') or 0
if priority > 0 then
  redis.call('ZADD', KEYS[4], priority * ${priorityStep}, id)
else
  redis.call('RPUSH', KEYS[3], id)
end
redis.call('ZADD', KEYS[5], ${baseMark.score}, '${baseMark.member}')
redis.call('XADD', KEYS[6], '*', ${eventArgs.waiting('active')})
return 1
`;

/** Makes the queue give no job for ARGV milliseconds. BullMQ honours this only where a maximum is set: a vast one is. */
export const limitQueue = defineScript(keyNames.meta, keyNames.limiter)`
redis.call('HSETNX', KEYS[1], '${metaFields.limitMax}', '${neverReached}')
redis.call('HSETNX', KEYS[1], '${metaFields.limitDuration}', '1000')
local left = redis.call('PTTL', KEYS[2])
if left < tonumber(ARGV[1]) then redis.call('SET', KEYS[2], '${neverReached}', 'PX', ARGV[1]) end
`;

/** Writes the at-most-once fence. KEYS: job. ARGV: token, name of the delivery. Returns 1 when that may run. */
export const writeFence = defineScript()`
if redis.call('GET', KEYS[1] .. '${lockSuffix}') ~= ARGV[1] then return 0 end
local started = redis.call('HGET', KEYS[1], 'i:started')
if started and started ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'i:started', ARGV[2])
return 1
`;

/** What stands in a job's place and is none goes aside, so that it holds up no other job. */
const setAside = `
local function setAside(job)
  local kind = redis.call('TYPE', job).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('RENAME', job, job .. ':foreign') end
end
`;

/**
 * Finds the active jobs that a fetch with this token has locked, but cannot read: their hash is none, or its count of
 * fetches is no count. ARGV: key start, token. Returns their ids.
 */
export const findUnreadable = defineScript(active)`
local found = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local job = ARGV[1] .. id
  if redis.call('GET', job .. '${lockSuffix}') == ARGV[2] then
    local isHash = redis.call('TYPE', job).ok == 'hash'
    local starts = isHash and (redis.call('HGET', job, '${jobFields.starts}') or '0')
    if not starts or not string.match(starts, '^%d+$') or #starts > 15 then found[#found + 1] = id end
  end
end
return found
`;

/**
 * Fails a job whose end BullMQ's scripts cannot write, because its hash holds what they do not expect. ARGV: key start,
 * id, token, fetch number, failed reason, stacktrace. Returns 0 when another worker has the job.
 */
export const bury = defineScript(active, wait, prioritized, failed, events, keyNames.meta)`
${luaNow}
${setAside}
local start, id, token, starts, reason, stacktrace = unpack(ARGV)
local job = start .. id
setAside(job)
local holder = redis.call('GET', job .. '${lockSuffix}')
if holder ~= token and (holder or redis.call('HGET', job, '${jobFields.starts}') ~= starts) then return 0 end
redis.call('DEL', job .. '${lockSuffix}')
redis.call('LREM', KEYS[1], -1, id)
redis.call('LREM', KEYS[2], -1, id)
redis.call('ZREM', KEYS[3], id)
for _, counter in ipairs({'${jobFields.starts}', '${jobFields.attempts}', '${jobFields.stalls}'}) do
  local count = redis.call('HGET', job, counter)
  if count and (#count > 15 or not string.match(count, '^%d+$')) then redis.call('HSET', job, counter, 0) end
end
redis.call('HSETNX', job, '${jobFields.name}', '')
redis.call('HINCRBY', job, '${jobFields.attempts}', 1)
redis.call('HSET', job, '${jobFields.failedReason}', reason, '${jobFields.stacktrace}', stacktrace, '${jobFields.endedAt}', now)
local dedupe = redis.call('HGET', job, '${jobFields.deduplicationId}')
if dedupe and redis.call('GET', start .. '${deduplicationStart}' .. dedupe) == id then
  local key = start .. '${deduplicationStart}' .. dedupe
  if redis.call('PTTL', key) == -1 then redis.call('DEL', key) end
end
redis.call('ZADD', KEYS[4], now, id)
redis.call('XADD', KEYS[5], 'MAXLEN', '~', ${luaMostEvents('KEYS[6]')}, '*', ${eventArgs.failed('reason')})
return 1
`;

const recoveryKeys = [active, wait, marker, events, ownKeyNames.workers];

/** Gives back an active job without a lock, and notes that its worker ended without an outcome. */
const giveBack = `
${setAside}
local prefix, active, wait, marker, events, workers = ARGV[1], unpack(KEYS)
${luaNow}
local function giveBack(id, worker, blame)
  local job = prefix .. id
  setAside(job)
  redis.call('DEL', job .. '${lockSuffix}')
  if redis.call('LREM', active, -1, id) == 0 then return false end
  local culprit = redis.call('HGET', workers, worker .. ':culprit')
  local stopping = redis.call('HEXISTS', workers, worker .. ':stopping') == 1
  local waited = redis.call('HGET', workers, worker .. ':waiting') == id
  if not stopping and not waited and (not culprit or culprit == id) then
    local crashes = redis.call('HGET', job, 'i:crashes')
    local crash = now .. ',' .. worker .. ',' .. (culprit and 'culprit' or blame)
    redis.call('HSET', job, 'i:crashes', crashes and (crashes .. ' ' .. crash) or crash)
  end
  redis.call('RPUSH', wait, id)
  redis.call('ZADD', marker, ${baseMark.score}, '${baseMark.member}')
  redis.call('XADD', events, '*', ${eventArgs.stalled})
  return true
end
`;

/**
 * BullMQ 5 pauses a queue by renaming its list of waiting jobs, and drops what is there under the old name when it renames
 * it back. Jobs that have come since join the others, in their order, so that either version's `resume()` keeps them.
 */
const joinPaused = `
local function joinPaused(meta, wait, paused)
  if redis.call('HEXISTS', meta, '${metaFields.paused}') == 0 or redis.call('EXISTS', paused) == 0 then return end
  for _ = 1, 1000 do
    if not redis.call('RPOPLPUSH', wait, paused) then return end
  end
end
`;

/**
 * Says that this worker lives, and gives back active jobs whose lock ran out: their worker is dead, frozen or cut off.
 * One worker looks per interval. After a gap in which nobody could look, the locks' owners get one interval to come
 * back. ARGV: key start, worker, interval in milliseconds.
 * Returns the ids that were given back, then ids and tokens of the jobs whose lock this worker holds.
 */
export const lookForStalled = defineScript(...recoveryKeys, ownKeyNames.looked, keyNames.meta, keyNames.paused)`
${giveBack}
${joinPaused}
redis.call('HSET', workers, ARGV[2] .. ':seen', now)
local since = tonumber(now) - tonumber(redis.call('GET', KEYS[6]) or '0')
local interval = tonumber(ARGV[3])
local look = since >= interval * 0.9 and since <= interval * 1.25 + 500
if since >= interval * 0.9 then redis.call('SET', KEYS[6], now) end
local stalled, held = {}, {}
for _, id in ipairs(redis.call('LRANGE', active, 0, -1)) do
  local holder = redis.call('GET', prefix .. id .. '${lockSuffix}')
  if not holder and look then
    setAside(prefix .. id)
    local worker = redis.call('HGET', prefix .. id, '${jobFields.worker}') or '?'
    if giveBack(id, worker, 'expired') then stalled[#stalled + 1] = id end
  elseif holder and string.sub(holder, 1, #ARGV[2] + 1) == ARGV[2] .. '${tokenSeparator}' then
    held[#held + 1] = id
    held[#held + 1] = holder
  end
end
joinPaused(KEYS[7], wait, KEYS[8])
return {stalled, held}
`;

/** Gives back all jobs of a dead worker, and forgets it, but not that it stopped. ARGV: key start, worker. Returns ids. */
export const recoverWorker = defineScript(...recoveryKeys)`
${giveBack}
local dead, given = ARGV[2], {}
for _, id in ipairs(redis.call('LRANGE', active, 0, -1)) do
  local holder = redis.call('GET', prefix .. id .. '${lockSuffix}')
  setAside(prefix .. id)
  local his = holder and string.sub(holder, 1, #dead + 1) == dead .. '${tokenSeparator}'
  if his or (not holder and redis.call('HGET', prefix .. id, '${jobFields.worker}') == dead) then
    if giveBack(id, dead, 'suspect') then given[#given + 1] = id end
  end
end
redis.call('HDEL', workers, dead, dead .. ':seen', dead .. ':culprit', dead .. ':waiting')
return given
`;
