-- Writes live values, or takes them back, each only if it may replace what is stored (`accepts` in live.rs).
--
-- KEYS  1 index of windows (sorted set), 2 pointer to the current window, then one hash per value
-- ARGV  1 metric, 2 channel, 3 '1' if values are windows, 4 windows to keep in the index,
--       5 watermark in ms as the lower bound of a score range, then nine per value:
--       id, ttl in ms, epoch, revision, is_final, updated_at, window_start, window_end, rows (empty: taken back)
-- Returns 1 or 0 per value: accepted or refused.

local HEAD, FIELDS = 5, 9

-- Decimal numbers are compared as text: numbers of Lua are exact only up to 2^53.
local function less(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end

local windows = ARGV[3] == '1'
local answers, longest, gone = {}, 0, false

for n = 1, #KEYS - 2 do
  local key, at = KEYS[n + 2], HEAD + (n - 1) * FIELDS
  local id, ttl, epoch, revision = ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3], ARGV[at + 4]
  local is_final, updated_at = ARGV[at + 5], ARGV[at + 6]
  local stored = redis.call('HMGET', key, 'epoch', 'revision', 'is_final')
  local refused = stored[1] and (
    less(epoch, stored[1])
    or (epoch == stored[1] and less(revision, stored[2]))
    or (stored[3] == 'true' and is_final ~= 'true'))
  if refused then
    answers[n] = 0
  elseif ARGV[at + 9] == '' then
    answers[n] = 1
    if redis.call('DEL', key) == 1 then redis.call('PUBLISH', ARGV[2], id) end
    if windows then redis.call('ZREM', KEYS[1], id) end
    gone = true
  else
    answers[n] = 1
    redis.call('HSET', key, 'metric', ARGV[1], 'epoch', epoch, 'revision', revision,
      'is_final', is_final, 'updated_at', updated_at, 'rows', ARGV[at + 9])
    if windows then
      redis.call('HSET', key, 'window_start', ARGV[at + 7], 'window_end', ARGV[at + 8])
      redis.call('ZADD', KEYS[1], id, id)
    end
    redis.call('PEXPIRE', key, ttl)
    longest = math.max(longest, ttl)
    redis.call('PUBLISH', ARGV[2], id)
  end
end

if windows and (longest > 0 or gone) then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - tonumber(ARGV[4]))
  local current = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[5], '+inf', 'LIMIT', 0, 1)
  if #current == 0 then current = redis.call('ZREVRANGE', KEYS[1], 0, 0) end
  if #current == 0 then
    redis.call('DEL', KEYS[2])
  elseif longest > 0 then
    redis.call('SET', KEYS[2], current[1], 'PX', longest)
    redis.call('PEXPIRE', KEYS[1], longest)
  else
    redis.call('SET', KEYS[2], current[1], 'KEEPTTL')
  end
end

return answers
