-- What is known of the limits in KEYS, each a hash, and what is done to all of
-- them in one step. The arithmetic is that of the in-process pacer: a bucket that
-- fills at 98.5 % of the limit, whose burst is paid back over the next window, so
-- that no stretch as long as the window sees more requests than the limit. A
-- window of an hour or more is counted, not paced.
--
-- Times are microseconds since 1970: as doubles they are exact. They come back as
-- text, since numbers would be cut to integers on the way.
--
-- ARGV: operation, now (0: this server's clock), cost, two more that operations
-- give their own meaning, and then for each key limit, length in seconds and epoch.

local EDGE = 2000000     -- how far ideas of a window's end may be apart
local COUNTED = 3600     -- seconds from which on a window is counted
local SMALL = 20         -- limits below have no burst
local BELIEVED = 3       -- answers in a row that have to tell of another end

local operation, now, cost = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if now == 0 then
  local t = redis.call('TIME')
  now = tonumber(t[1]) * 1000000 + tonumber(t[2])
end

local FIELDS = {'limit', 'length', 'level', 'at', 'high', 'held', 'ends', 'own', 'others', 'epoch', 'doubts'}

local function span(w) return w.length * 1000000 end
local function counts(w) return w.length >= COUNTED end
local function burst(w)
  if w.limit < SMALL then return 1 end
  return math.max(2, w.limit / 10)
end
local function low(w)
  if w.limit < SMALL then return 2 end
  return math.max(1.15, 0.015 * w.limit)
end
local function fast(w) return 0.985 * w.limit / span(w) end
local function slow(w)
  if w.limit < SMALL then return fast(w) end
  return (0.99 * w.limit - burst(w)) / span(w)
end

local function fresh(limit, length, epoch)
  local w = {limit = limit, length = length, at = now, high = now, held = 0, ends = 0, own = 0, others = 0, epoch = epoch, doubts = 0}
  if limit == 0 then
    w.level = 0
  elseif counts(w) then
    w.level = limit
    w.ends = now - now % span(w) + span(w) -- in UTC, until the API says otherwise
  else
    w.level = burst(w)
  end
  return w
end

local function fill(w, to)
  local from = w.at
  if to <= from then return end
  w.at = to
  if counts(w) then return end
  if w.level < low(w) then
    local paid = math.min(to, w.high + span(w))
    if paid > from then -- still paying back
      local rise = math.min((low(w) - w.level) / slow(w), paid - from)
      w.level = w.level + slow(w) * rise
      from = from + rise
    end
    if w.level < low(w) - 1e-9 and from < to then
      local rise = math.min((low(w) - w.level) / fast(w), to - from)
      w.level = w.level + fast(w) * rise
      from = from + rise
    end
  end
  if w.level >= low(w) - 1e-9 then
    w.level = w.level + slow(w) * (to - from)
    w.high = to
  end
  w.level = math.min(w.level, burst(w))
end

-- advance brings a window to now, over the end of the API's own if need be.
local function advance(w)
  if w.limit == 0 then return end
  if w.ends ~= 0 and now >= w.ends then
    fill(w, w.ends)
    local periods = math.floor((now - w.ends) / span(w))
    local began = w.ends + periods * span(w)
    w.ends = began + span(w)
    if counts(w) then
      w.level = math.min(w.limit, w.level + (1 + periods) * w.limit)
      w.at = math.max(w.at, began)
    elseif w.level < 0 then
      w.level = math.min(0, w.level + w.others)
    end
    w.own, w.others = 0, 0
  end
  fill(w, now)
end

-- due is when so many requests could go.
local function due(w, n)
  if w.limit == 0 then return w.held end
  local missing = math.min(n, w.limit) - w.level
  if missing <= 0 then return w.held end
  if counts(w) then
    return math.max(w.at, w.ends) + (math.ceil(missing / w.limit) - 1) * span(w)
  end
  local at = w.at
  local pay = w.high + span(w) - w.at
  if pay > 0 then
    local part = math.min(missing / slow(w), pay)
    missing = missing - part * slow(w)
    at = at + math.ceil(part)
  end
  if missing > 1e-9 then at = at + math.ceil(missing / fast(w)) end
  return at
end

local function take(w, n)
  if w.limit == 0 then return end
  n = math.min(math.max(n, -w.limit), w.limit)
  w.own = math.max(0, w.own + n)
  if counts(w) then
    w.level = w.level - n
    return
  end
  -- What is more than a burst is spent twice, as it goes at once.
  w.level = math.min(burst(w), w.level - n - math.max(0, n - burst(w)) - math.min(0, n + burst(w)))
end

local function reserve(w, n)
  local at = due(w, n)
  take(w, n)
  if n > low(w) and w.limit > 0 then w.high = math.max(w.high, at) end
  return at
end

local function hold(w, to)
  if to <= w.held then return end
  w.held = to
  if w.limit == 0 then return end
  w.at = math.max(w.at, to)
  w.epoch = w.epoch + 1
  if counts(w) then
    w.level, w.ends = 0, to
  else
    w.level = 1 -- one may go then, the others one after another
  end
end

local function resize(w, limit)
  if limit <= 0 or limit == w.limit then return end
  if counts(w) then
    if w.level > 0 then w.level = math.max(0, w.level + limit - w.limit) end
    w.limit = limit
    return
  end
  w.limit = limit
  w.level = math.min(w.level, burst(w))
end

-- ends compares our idea of the window's end with the API's, and says whether
-- the answer speaks of this window.
local function ends(w, at, used)
  local apart, ours = at - w.ends, used
  if not counts(w) then ours = ours + math.floor(burst(w)) end
  if w.ends == 0 then
    w.ends, w.own = at, math.min(w.own, ours)
  elseif apart > -EDGE and apart < EDGE then
    w.ends = math.min(w.ends, at)
  elseif apart <= 2 * EDGE - span(w) then
    return false
  elseif apart < span(w) - 2 * EDGE and not counts(w) and w.doubts + 1 < BELIEVED then
    w.doubts = w.doubts + 1
    return false
  else
    w.ends, w.own, w.others = at, ours, 0
  end
  w.doubts = 0
  return true
end

local function observe(w, remaining, reset)
  if reset <= 0 or reset > span(w) + EDGE or span(w) < 2 * EDGE then
    if remaining == 0 and reset > 0 and reset <= span(w) + EDGE then hold(w, now + reset) end
    return
  end
  local at, used = now + reset, w.limit - remaining
  if not ends(w, at, used) then return end
  if counts(w) then
    w.own = math.max(w.own, used)
    w.level = math.min(w.level, remaining)
  end
  local others = used - w.own
  if others > w.others and (w.others > 0 or others > 2 + 0.02 * w.limit) then
    w.level = w.level - (others - w.others)
    w.others = others
  end
  if remaining == 0 then hold(w, at) end
end

local function text(n) return string.format('%.17g', n) end

-- load returns what is kept of a limit; a key that is gone, or is not ours, is
-- as good as a new one.
local function load(i)
  local limit, length, epoch = tonumber(ARGV[3 * i + 3]), tonumber(ARGV[3 * i + 4]), tonumber(ARGV[3 * i + 5])
  local kept = redis.pcall('HMGET', KEYS[i], unpack(FIELDS))
  if kept.err then
    redis.call('DEL', KEYS[i])
    kept = {}
  end
  local w = {}
  for j, field in ipairs(FIELDS) do w[field] = tonumber(kept[j] or nil) end
  for _, field in ipairs(FIELDS) do
    if not w[field] then return fresh(limit, length, 0), epoch, false end
  end
  return w, epoch, true
end

-- save keeps it for as long as it differs from a new one.
local function save(i, w)
  local values = {}
  for _, field in ipairs(FIELDS) do
    values[#values + 1] = field
    values[#values + 1] = text(w[field])
  end
  redis.call('HSET', KEYS[i], unpack(values))
  local rest = math.max(2 * span(w), 120000000, w.held - now + span(w), w.at - now + span(w), w.ends - now)
  redis.call('PEXPIRE', KEYS[i], math.ceil(rest / 1000))
end

-- Each operation answers with texts: now, and then what it has found.
local answer = {text(now)}

if operation == 'reserve' or operation == 'confirm' then
  -- now, then for each limit: due (0: as it was), epoch, held until, pace
  for i = 1, #KEYS do
    local w, epoch, known = load(i)
    advance(w)
    local at = 0
    if operation == 'reserve' or (known and w.epoch ~= epoch) then
      at = reserve(w, cost)
      save(i, w)
    end
    local held = w.held
    if w.limit > 0 and counts(w) and at > now then held = math.max(held, at) end
    local pace = 0
    if w.limit > 0 and not counts(w) then pace = 1 / fast(w) end
    for _, n in ipairs({at, w.epoch, held, pace}) do answer[#answer + 1] = text(n) end
  end
elseif operation == 'give back' then
  for i = 1, #KEYS do
    local w, epoch, known = load(i)
    if known and w.epoch == epoch then
      advance(w)
      take(w, -cost)
      save(i, w)
    end
  end
elseif operation == 'observe' then
  -- cost is what is left, ARGV[4] and [5] are the reset and whether all three
  -- were said; the key's own limit and length are what the API said
  local remaining, reset = cost, tonumber(ARGV[4])
  local limit, length = tonumber(ARGV[6]), tonumber(ARGV[7])
  local w = load(1)
  if limit > 0 and length > 0 and (w.limit == 0 or w.length ~= length) then
    local held = w.held
    w = fresh(limit, length, w.epoch + 1)
    if held > now then hold(w, held) end
  end
  advance(w)
  resize(w, limit)
  if ARGV[5] == '1' and w.limit > 0 then observe(w, remaining, reset) end
  save(1, w)
elseif operation == 'hold' then
  -- cost is for how long; a limit of which nothing is known gets a wide one
  local w = load(1)
  if w.limit == 0 then w = fresh(100, 1, w.epoch + 1) end
  advance(w)
  hold(w, now + cost)
  save(1, w)
elseif operation == 'usage' then
  -- for each limit: limit, length, used, reset, held until; a limit of 0 is not in use
  for i = 1, #KEYS do
    local w, _, known = load(i)
    if not known then w.limit = 0 end
    local used, reset = 0, 0
    if w.limit > 0 then
      advance(w)
      local whole = counts(w) and w.limit or burst(w)
      local missing = math.ceil(math.max(0, whole - w.level))
      used = missing
      if w.ends ~= 0 then
        used, reset = math.max(w.own + w.others, 0), w.ends - now
      elseif missing > 0 then
        reset = due(w, whole) - now
      end
    end
    for _, n in ipairs({w.limit, w.length, used, reset, w.held}) do answer[#answer + 1] = text(n) end
  end
end
return answer
