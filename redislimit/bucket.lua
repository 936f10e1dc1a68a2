-- One operation on the limits in KEYS. The arithmetic is that of the in-process
-- pacer, function for function (internal/bucket of the root module): a bucket that
-- fills at 98.5 % of the limit and whose burst is paid back over the next window,
-- so that no stretch of time as long as the window sees more requests than the
-- limit. A window of an hour or more is counted, not paced.
--
-- Times are microseconds since 1970, which doubles represent exactly. Limits are
-- stored and returned as packed doubles: Redis would cut numbers to integers on
-- their way out of the script, and formatting them as text takes most of its time.
--
-- ARGV: the operation; now ('': this server's clock); the cost; two numbers whose
-- meaning depends on the operation; then for each key the limit and the seconds
-- that it has if nothing is stored for it, and the epoch of the reservation.

local EDGE = 2000000 -- how far ideas of a window's end may be apart
local COUNTED = 3600 -- seconds from which on a window is counted
local SMALL = 20     -- limits below have no burst
local BELIEVED = 3   -- answers in a row that have to name another end
local BACK = 10000000 -- a clock that goes back further than this was set

-- The first byte is the version of the format. State of another version is ignored.
local KEPT, SIZE, VERSION = '>Bddddddddddd', 89, 1

local min, max, floor, ceil = math.min, math.max, math.floor, math.ceil

local operation, now, cost = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local first, second = tonumber(ARGV[4]), tonumber(ARGV[5])
if not now then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end

-- shape computes what follows from limit and length.
local function shape(w)
  w.span = w.length * 1000000
  w.counts = w.length >= COUNTED
  if w.limit == 0 then return end
  w.fast = 0.985 * w.limit / w.span
  if w.limit < SMALL then
    w.burst, w.low, w.slow = 1, 2, w.fast
  else
    w.burst = max(2, w.limit / 10)
    w.low = max(1.15, 0.015 * w.limit)
    w.slow = (0.99 * w.limit - w.burst) / w.span
  end
end

local function fresh(limit, length, epoch)
  local w = {
    limit = limit, length = length, level = 0, at = now, high = now, held = 0, ends = 0,
    own = 0, others = 0, epoch = epoch, doubts = 0,
  }
  shape(w)
  if limit > 0 then
    w.level = w.burst
    if w.counts then
      w.level = limit
      w.ends = now - now % w.span + w.span -- in UTC, until the API says otherwise
    end
  end
  return w
end

-- load returns the limit of the i-th key and true, or a new one and false. If the
-- key holds something else, GET may fail, and SET overwrites it.
local function load(i)
  local s = redis.pcall('GET', KEYS[i])
  if type(s) == 'string' and #s == SIZE and s:byte(1) == VERSION then
    local w, _ = {}
    _, w.limit, w.length, w.level, w.at, w.high, w.held, w.ends, w.own, w.others, w.epoch, w.doubts =
      struct.unpack(KEPT, s)
    shape(w)
    return w, true
  end
  return fresh(tonumber(ARGV[3 + 3 * i]), tonumber(ARGV[4 + 3 * i]), 0), false
end

local function fill(w, to)
  local from = w.at
  if to <= from then return end -- or closed until then
  w.at = to
  if w.counts then return end
  if w.level < w.low then
    local paid = min(to, w.high + w.span)
    if paid > from then -- still paying back
      local rise = min((w.low - w.level) / w.slow, paid - from)
      w.level = w.level + w.slow * rise
      from = from + rise
    end
    if w.level < w.low - 1e-9 and from < to then
      local rise = min((w.low - w.level) / w.fast, to - from)
      w.level = w.level + w.fast * rise
      from = from + rise
    end
  end
  if w.level >= w.low - 1e-9 then
    w.level = w.level + w.slow * (to - from)
    w.high = to
  end
  w.level = min(w.level, w.burst)
end

-- advance brings a bucket to now, past the end of the API's window if need be.
local function advance(w)
  if w.limit == 0 then return end
  local back = w.at - now
  if back > BACK and w.at > w.held then -- the clock was set, or it is another server's
    w.at, w.high = now, w.high - back
    if w.ends ~= 0 and not w.counts then w.ends = w.ends - back end
  end
  if w.ends ~= 0 and now >= w.ends then
    fill(w, w.ends)
    local periods = floor((now - w.ends) / w.span)
    local began = w.ends + periods * w.span
    w.ends = began + w.span
    if w.counts then
      w.level = min(w.limit, w.level + (1 + periods) * w.limit)
      w.at = max(w.at, began)
    elseif w.level < 0 then
      w.level = min(0, w.level + w.others) -- what is reserved is still charged
    end
    w.own, w.others = 0, 0
  end
  fill(w, now)
end

-- due is when so many requests could go, a time that has passed if they can now.
local function due(w, n)
  if w.limit == 0 then return w.held end
  local missing = min(n, w.limit) - w.level
  if missing <= 0 then return w.held end
  if w.counts then
    return max(w.at, w.ends) + (ceil(missing / w.limit) - 1) * w.span
  end
  local at = w.at
  local pay = w.high + w.span - w.at
  if pay > 0 then
    local part = min(missing / w.slow, pay)
    missing = missing - part * w.slow
    at = at + ceil(part)
  end
  if missing > 1e-9 then at = at + ceil(missing / w.fast) end
  return at
end

-- take spends n; a negative n gives back. What is more than a burst is spent
-- twice, because it goes at once.
local function take(w, n)
  if w.limit == 0 then return end
  n = min(max(n, -w.limit), w.limit)
  w.own = max(0, w.own + n)
  if w.counts then
    w.level = w.level - n
  else
    w.level = min(w.burst, w.level - n - max(0, n - w.burst) - min(0, n + w.burst))
  end
end

-- reserve takes n for the time when it is due, and returns that time.
local function reserve(w, n)
  local at = due(w, n)
  take(w, n)
  if w.limit > 0 and n > w.low then w.high = max(w.high, at) end
  return at
end

-- hold closes the limit. All reservations become void.
local function hold(w, to)
  if w.limit == 0 or to <= w.held then return end
  w.held = to
  w.at = max(w.at, to)
  w.epoch = w.epoch + 1
  if w.counts then
    w.level, w.ends = 0, to
  else
    w.level = 1 -- one may go then, the others one after another
  end
end

local function resize(w, limit)
  if limit <= 0 or limit == w.limit then return end
  if w.counts and w.level > 0 then w.level = max(0, w.level + limit - w.limit) end
  w.limit = limit
  shape(w)
  if not w.counts then w.level = min(w.level, w.burst) end
end

-- follow compares our idea of the window's end with the API's, and corrects it. It
-- returns whether the answer is about the current window.
local function follow(w, at, used)
  local apart, ours = at - w.ends, used
  if not w.counts then ours = used + floor(w.burst) end -- because answers overtake each other
  if w.ends == 0 then
    w.ends, w.own = at, min(w.own, ours)
  elseif apart > -EDGE and apart < EDGE then
    w.ends = min(w.ends, at) -- a reset is rounded up, and an answer takes time
  elseif apart <= 2 * EDGE - w.span then
    return false -- it is about the previous window
  elseif apart < w.span - 2 * EDGE and not w.counts and w.doubts + 1 < BELIEVED then
    w.doubts = w.doubts + 1
    return false
  else -- we were wrong, or the next window has begun
    w.ends, w.own, w.others = at, ours, 0
  end
  w.doubts = 0
  return true
end

-- observe follows what the API said: how many requests are left of the window, and
-- how long until it ends. What others have used is charged here.
local function observe(w, remaining, reset)
  if reset > w.span + EDGE or w.span < 2 * EDGE then
    -- An end in whole seconds says nothing about a window of a few seconds.
    if remaining == 0 and reset <= w.span + EDGE then hold(w, now + reset) end
    return
  end
  local at, used = now + reset, w.limit - remaining
  if not follow(w, at, used) then return end
  if w.counts then
    w.own = max(w.own, used)
    w.level = min(w.level, remaining)
  end
  local others = used - w.own
  if others > w.others and (w.others > 0 or others > 2 + 0.02 * w.limit) then
    w.level = w.level - (others - w.others)
    w.others = others
  end
  if remaining == 0 then hold(w, at) end
end

-- save stores a limit until it is as good as a new one, and a while longer.
local function save(i, w)
  local rest = max(2 * w.span, 120000000, w.held - now + w.span, w.ends - now)
  if w.limit > 0 and not w.counts then rest = max(rest, due(w, w.burst) - now + w.span) end
  redis.call('SET', KEYS[i], struct.pack(KEPT, VERSION, w.limit, w.length, w.level, w.at, w.high,
    w.held, w.ends, w.own, w.others, w.epoch, w.doubts), 'PX', string.format('%.0f', ceil(rest / 1000)))
end

-- The reply is now, and then for each limit two numbers that depend on the
-- operation, and its state.
local reply = {struct.pack('>d', now)}
local function add(a, b, w)
  reply[#reply + 1] = struct.pack('>dddddddddd', a, b, w.limit, w.length, w.epoch, w.held, w.ends,
    w.own + w.others, w.others, w.doubts)
end

if operation == 'reserve' or operation == 'confirm' then
  -- a: when it is due; -1 if the reservation is valid. b: microseconds a request.
  for i = 1, #KEYS do
    local w, known = load(i)
    advance(w)
    local at = -1
    if operation == 'reserve' or known and w.epoch ~= tonumber(ARGV[5 + 3 * i]) then
      at = reserve(w, cost)
      if w.limit > 0 then save(i, w) end
    end
    add(at, w.limit > 0 and not w.counts and 1 / w.fast or 0, w)
  end
elseif operation == 'give' then
  -- If a limit was closed since, its reservation is void already.
  for i = 1, #KEYS do
    local w, known = load(i)
    if known and w.epoch == tonumber(ARGV[5 + 3 * i]) then
      advance(w)
      take(w, -cost)
      save(i, w)
    end
  end
elseif operation == 'observe' then
  -- The key's limit and length are those that the API named. first is how many are
  -- left, second the reset, 0 if the answer did not say. cost is what to take from a
  -- limit that was not known: the cost of the call that revealed it.
  local limit, length = tonumber(ARGV[6]), tonumber(ARGV[7])
  local w, known = load(1)
  if limit > 0 and (w.limit == 0 or w.length ~= length) then
    local held = w.held
    w = fresh(limit, length, w.epoch + 1)
    if held > now then hold(w, held) end
  end
  advance(w)
  resize(w, limit)
  if not known then take(w, cost) end
  if second > 0 and w.limit > 0 then observe(w, first, second) end
  if w.limit > 0 then save(1, w) end
  add(0, 0, w)
elseif operation == 'hold' then
  -- first is for how long. If nothing else is known of the limit, it is a new one.
  local w = load(1)
  if w.limit == 0 then w = fresh(100, 1, w.epoch + 1) end
  advance(w)
  hold(w, now + first)
  save(1, w)
  add(0, 0, w)
elseif operation == 'usage' then
  -- a: how many are used; -1 if the limit is not in use. b: the reset.
  for i = 1, #KEYS do
    local w, known = load(i)
    local used, reset = -1, 0
    if known and w.limit > 0 then
      advance(w)
      local whole = w.counts and w.limit or w.burst
      used = ceil(max(0, whole - w.level)) -- what is not free again yet
      if w.ends ~= 0 then
        used, reset = max(w.own + w.others, 0), w.ends - now
      elseif used > 0 then
        reset = due(w, whole) - now
      end
    end
    add(used, reset, w)
  end
end
return table.concat(reply)
