//! What the nodes share: lanes, the leader, heartbeats, used tickets, seats. Each is one script, so that it is one step
//! for everybody. Redis may lose all of it: `restore` puts back what the leader remembers.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use chrono::{DateTime, Utc};
use preau_admission::{
    Lane, PerLane,
    lanes::{Advance, LaneState},
    tags,
};
use preau_cache::{Cache, CacheError, keys};
use preau_kernel::{FamilyId, SchoolId, TerritoryId};
use redis::Script;

/// A place to draw.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    pub(crate) territory: TerritoryId,
    pub(crate) lane: Lane,
    pub(crate) school: Option<SchoolId>,
    pub(crate) step: u64,
    pub(crate) phase: u64,
    pub(crate) kind: Kind,
    pub(crate) subject: [u8; 8],
}

/// How it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By whoever asks; a second one of the same subject goes to the tail.
    Own,
    /// At the tail, whatever was drawn before.
    Tail,
    /// At the front, where the next turn passes it: who comes back. The same subject's second one has its turn already, and is
    /// not counted again.
    Front,
    /// By lot, in the width of one roster, which newcomers stay behind: a dated ticket whose hour has come, a place drawn
    /// before a declared opening. `phase` is the lot, in tags.
    Lot,
}

/// A place drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drawn {
    pub(crate) tag: u64,
    pub(crate) second: bool,
    /// The lane's threshold at that moment.
    pub(crate) threshold: u64,
    /// People of the lane whose turn has not come, this one included.
    pub(crate) waiting: u64,
}

/// What is known of a lane, in case Redis has forgotten it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hint {
    pub(crate) threshold: u64,
    pub(crate) top: u64,
}

/// The lanes of a territory as Redis holds them; none for a lane that nobody has used.
pub(crate) type Lanes = PerLane<Option<LaneState>>;

/// What asking for the lead gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lead {
    /// The number of this reign, when it is ours.
    pub(crate) fence: Option<u64>,
    /// Who leads.
    pub(crate) node: String,
}

/// Longer than an order closes a lane (a day) and a ticket lives on after it.
const LANE_LIFE_S: u64 = 29 * 3600;
/// Two bytes a person of the roster keep one in a thousand from being taken for another.
const BITS_A_PERSON: u64 = 16;
/// Periods of half an hour that end at a quarter past and a quarter to: never at the hour, when everybody comes.
const DRAWN_PERIOD_S: i64 = 1800;
const DRAWN_SHIFT_S: i64 = 900;

#[derive(Clone)]
pub(crate) struct Store {
    cache: Cache,
}

impl Store {
    pub(crate) fn new(cache: Cache) -> Self {
        Self { cache }
    }

    fn lane_keys(&self, territory: TerritoryId, epoch: u32) -> Vec<String> {
        let mut all = vec![self.cache.key(&keys::lanes(territory, epoch))];
        all.extend(
            Lane::ALL.map(|lane| self.cache.key(&keys::lane_buckets(territory, epoch, lane.as_str()))),
        );
        all
    }

    /// Draws places in one territory, in the order given.
    pub(crate) async fn issue(
        &self,
        (territory, epoch, now): (TerritoryId, u32, DateTime<Utc>),
        people: u64,
        hints: &PerLane<Hint>,
        drawings: &[Drawing],
    ) -> Result<Vec<Drawn>, CacheError> {
        let period = (now.timestamp() + DRAWN_SHIFT_S) / DRAWN_PERIOD_S;
        let mut names = self.lane_keys(territory, epoch);
        names.extend(
            Lane::ALL.map(|lane| self.cache.key(&keys::lane_schools(territory, epoch, lane.as_str()))),
        );
        names.push(self.cache.key(&keys::drawn(territory, epoch, period)));
        let bits = people.saturating_mul(BITS_A_PERSON).clamp(1 << 13, 1 << 26);
        let mut args = vec![
            tags::cold(now).to_string(),
            LANE_LIFE_S.to_string(),
            tags::WINDOW.to_string(),
            bits.to_string(),
            drawings.len().to_string(),
        ];
        for (_, hint) in hints.iter() {
            args.push(hint.threshold.to_string());
            args.push(hint.top.to_string());
        }
        for drawing in drawings {
            let [a, b, c, d, e, f, g, h] = mixed(drawing.subject);
            let kind = match drawing.kind {
                Kind::Own => 0,
                Kind::Tail => 1,
                Kind::Lot => 2,
                Kind::Front => 3,
            };
            args.extend([
                drawing.lane.index().to_string(),
                kind.to_string(),
                drawing.school.map_or_else(|| "-".to_owned(), |school| school.uuid().simple().to_string()),
                drawing.step.to_string(),
                drawing.phase.to_string(),
                u32::from_be_bytes([a, b, c, d]).to_string(),
                (u32::from_be_bytes([e, f, g, h]) | 1).to_string(),
            ]);
        }
        let flat: Vec<u64> = self.cache.invoke(&ISSUE, &names, &args).await?;
        let drawn = flat.chunks_exact(4).filter_map(|chunk| match *chunk {
            [tag, second, threshold, waiting] => Some(Drawn { tag, second: second == 1, threshold, waiting }),
            _ => None,
        });
        Ok(drawn.collect())
    }

    /// The lanes of a territory, stamped with the fence of whoever leads; and the stamp that was there: 0 where Redis knows
    /// nothing of a leader.
    pub(crate) async fn read(
        &self,
        territory: TerritoryId,
        epoch: u32,
        fence: u64,
    ) -> Result<(Lanes, u64), CacheError> {
        type Raw = (Vec<Option<u64>>, Vec<Vec<u64>>, u64);
        let (numbers, buckets, stamped): Raw =
            self.cache.invoke(&READ, &self.lane_keys(territory, epoch), &[fence.to_string()]).await?;
        let mut lanes = Lanes::default();
        for ((lane, numbers), counts) in Lane::ALL.into_iter().zip(numbers.chunks_exact(4)).zip(&buckets) {
            let &[Some(threshold), base, top, issued] = numbers else { continue };
            // A node that let people in by itself may have left counts below the threshold: their turn has come.
            let first = tags::bucket(threshold + 1);
            let counts = counts.chunks_exact(2).filter_map(|pair| match *pair {
                [bucket, count] if count > 0 && bucket >= first => Some((bucket, count)),
                _ => None,
            });
            *lanes.get_mut(lane) = Some(LaneState {
                threshold,
                base: base.unwrap_or(threshold),
                top: top.unwrap_or(threshold),
                buckets: counts.collect(),
                issued: issued.unwrap_or(0),
            });
        }
        Ok((lanes, stamped))
    }

    /// Moves thresholds on. With a fence, only unless a later leader has moved some; without, whoever asks (a node that
    /// let people in while Redis was away). Returns how many people were passed, lane by lane, or none when fenced off.
    pub(crate) async fn advance(
        &self,
        (territory, epoch): (TerritoryId, u32),
        fence: Option<u64>,
        moves: &[(Lane, Advance)],
    ) -> Result<Option<PerLane<u64>>, CacheError> {
        let mut args = vec![fence.unwrap_or(0).to_string()];
        for (lane, to) in moves {
            args.extend([
                lane.index().to_string(),
                to.threshold.to_string(),
                tags::bucket(to.threshold + 1).to_string(),
                to.in_last.to_string(),
            ]);
        }
        let passed: Vec<u64> = self.cache.invoke(&ADVANCE, &self.lane_keys(territory, epoch), &args).await?;
        if passed.is_empty() {
            return Ok(None);
        }
        let mut by_lane = PerLane::default();
        for ((lane, _), passed) in moves.iter().zip(passed) {
            *by_lane.get_mut(*lane) = passed;
        }
        Ok(Some(by_lane))
    }

    /// Puts back what Redis has forgotten: thresholds only rise, and those who wait are counted again.
    pub(crate) async fn restore(
        &self,
        (territory, epoch): (TerritoryId, u32),
        lanes: &[(Lane, LaneState)],
    ) -> Result<(), CacheError> {
        let mut args = vec![LANE_LIFE_S.to_string()];
        for (lane, state) in lanes {
            args.extend([
                lane.index().to_string(),
                state.threshold.to_string(),
                state.base.max(state.top).to_string(),
                state.top.to_string(),
                state.issued.to_string(),
                state.buckets.len().to_string(),
            ]);
            for (bucket, count) in &state.buckets {
                args.push(bucket.to_string());
                args.push(count.to_string());
            }
        }
        self.cache.invoke(&RESTORE, &self.lane_keys(territory, epoch), &args).await
    }

    /// Takes, keeps or is refused the lead. `known` is the greatest fence ever seen: a flush must not start over.
    pub(crate) async fn lead(&self, node: &str, life: Duration, known: u64) -> Result<Lead, CacheError> {
        let args = [node.to_owned(), life.as_millis().to_string(), known.to_string()];
        let (fence, node): (u64, String) =
            self.cache.invoke(&LEAD, &[self.cache.key(keys::LEADER)], &args).await?;
        Ok(Lead { fence: (fence > 0).then_some(fence), node })
    }

    /// Gives the lead up, so that nobody waits for it to run out.
    pub(crate) async fn abdicate(&self, node: &str) {
        drop(self.cache.invoke::<()>(&ABDICATE, &[self.cache.key(keys::LEADER)], &[node.to_owned()]).await);
    }

    /// Says that this node lives, and reads what all say.
    pub(crate) async fn beat(
        &self,
        node: &str,
        said: &str,
        life: Duration,
    ) -> Result<Vec<String>, CacheError> {
        let names = [self.cache.key(keys::BEATS), self.cache.key(keys::BEATS_UNTIL)];
        let args = [node.to_owned(), said.to_owned(), life.as_millis().to_string()];
        self.cache.invoke(&BEAT, &names, &args).await
    }

    /// Publishes what the leader decided.
    pub(crate) async fn publish(&self, snapshot: &str, life: Duration) -> Result<(), CacheError> {
        let mut set = redis::cmd("SET");
        set.arg(self.cache.key(keys::SNAPSHOT))
            .arg(snapshot)
            .arg("PX")
            .arg(u64::try_from(life.as_millis()).unwrap_or(0));
        self.cache.run(&set).await
    }

    /// What the leader decided last.
    pub(crate) async fn snapshot(&self) -> Result<Option<String>, CacheError> {
        self.cache.run(redis::cmd("GET").arg(self.cache.key(keys::SNAPSHOT))).await
    }

    /// Whether this ticket lets `subject` in: once, or again for the same one.
    pub(crate) async fn redeem(
        &self,
        ticket: [u8; 8],
        subject: [u8; 8],
        life: Duration,
    ) -> Result<bool, CacheError> {
        let args = [format!("{:016x}", u64::from_be_bytes(subject)), life.as_secs().max(1).to_string()];
        let first: u8 = self.cache.invoke(&REDEEM, &[self.used(ticket)], &args).await?;
        Ok(first == 1)
    }

    /// What this ticket was exchanged for.
    pub(crate) async fn exchanged(&self, ticket: [u8; 8]) -> Result<Option<String>, CacheError> {
        self.cache.run(redis::cmd("GET").arg(self.used(ticket))).await
    }

    /// Exchanges this ticket for `place`, once; returns what it was exchanged for before.
    pub(crate) async fn exchange(
        &self,
        ticket: [u8; 8],
        place: &str,
        life: Duration,
    ) -> Result<Option<String>, CacheError> {
        let args = [place.to_owned(), life.as_secs().max(1).to_string()];
        self.cache.invoke(&EXCHANGE, &[self.used(ticket)], &args).await
    }

    fn used(&self, ticket: [u8; 8]) -> String {
        self.cache.key(&keys::used(&format!("{:016x}", u64::from_be_bytes(ticket))))
    }

    /// Takes, keeps and frees seats of one shard; returns how many are taken there.
    pub(crate) async fn seats(
        &self,
        shard: u8,
        kept: &[FamilyId],
        left: &[FamilyId],
        lease: Duration,
    ) -> Result<u64, CacheError> {
        let mut args = vec![lease.as_millis().to_string(), kept.len().to_string()];
        args.extend(kept.iter().chain(left).map(|family| family.uuid().simple().to_string()));
        self.cache.invoke(&SEATS, &[self.cache.key(&keys::seats(shard))], &args).await
    }
}

/// Spreads a subject over all its bits, however it was made: a Bloom filter takes two hashes from it.
fn mixed(subject: [u8; 8]) -> [u8; 8] {
    let mut bits = u64::from_be_bytes(subject).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)).to_be_bytes()
}

/// The shard of a seat.
pub(crate) fn shard(family: FamilyId) -> u8 {
    family.uuid().as_bytes().last().copied().unwrap_or(0) % keys::SEAT_SHARDS
}

/// Seats of some families, shard by shard.
pub(crate) fn by_shard(families: impl IntoIterator<Item = FamilyId>) -> BTreeMap<u8, Vec<FamilyId>> {
    let mut shards: BTreeMap<u8, Vec<FamilyId>> = BTreeMap::new();
    for family in families {
        shards.entry(shard(family)).or_default().push(family);
    }
    shards
}

/// Numbers go in as text of all their digits: Lua would print those above 10^14 in its own way.
/// KEYS: lanes, six of buckets, six of schools, drawn. ARGV: cold, life, window, bits, count, six hints (threshold, top),
/// then for each: lane, kind, school, step, phase, two hashes.
static ISSUE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local cold, life, window = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local numbers, drawn = KEYS[1], KEYS[14]
local function text(n) return string.format('%.0f', n) end
local bits = tonumber(redis.call('HGET', numbers, 'bits') or nil)
if not bits then bits = tonumber(ARGV[4]) redis.call('HSET', numbers, 'bits', ARGV[4]) end
local lanes, out = {}, {}
local function load(i)
  local lane = lanes[i]
  if lane then return lane end
  local r = redis.call('HMGET', numbers, i .. 'T', i .. 'b', i .. 'p', i .. 'n', i .. 'w')
  if r[1] then
    lane = {T = tonumber(r[1]), b = tonumber(r[2] or r[1]), p = tonumber(r[3] or r[1]), n = tonumber(r[4] or '0'), w = tonumber(r[5] or '0')}
  else
    local T, p = tonumber(ARGV[6 + 2 * i]), tonumber(ARGV[7 + 2 * i])
    if T == 0 then T = cold p = cold end
    lane = {T = T, b = p, p = p, n = 0, w = 0}
  end
  lane.h, lane.F = {}, {}
  lanes[i] = lane
  return lane
end
local at = 18
for _ = 1, tonumber(ARGV[5]) do
  local i, kind, school = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local step, phase, a, b = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]), tonumber(ARGV[at + 6])
  at = at + 7
  local lane = load(i)
  local second, count = kind == '1', 1
  if kind == '0' or kind == '3' then
    second = true
    for k = 0, 4 do
      if redis.call('SETBIT', drawn, text((a + k * b) % bits), 1) == 0 then second = false end
    end
  end
  local start, tag = math.max(lane.T, lane.b) + 1, 0
  if kind == '3' then
    tag = second and lane.T or lane.T + 1
    if second then count = 0 second = false end
  elseif kind == '2' then
    tag = lane.T + 1 + phase
    lane.b = math.max(lane.b, lane.T + 104857600)
  elseif second then
    tag = math.max(start, lane.p)
  else
    local F = lane.F[school] or tonumber(redis.call('HGET', KEYS[8 + i], school) or '0')
    tag = math.max(start + phase, F)
    if tag > start + window then tag = start + window else lane.F[school] = tag + step end
  end
  local bucket = math.floor(tag / 65536)
  if count == 1 then lane.h[bucket] = (lane.h[bucket] or 0) + 1 end
  lane.p, lane.n, lane.w = math.max(lane.p, tag), lane.n + count, lane.w + count
  out[#out + 1] = tag
  out[#out + 1] = second and 1 or 0
  out[#out + 1] = lane.T
  out[#out + 1] = lane.w
end
for i, lane in pairs(lanes) do
  redis.call('HSET', numbers, i .. 'T', text(lane.T), i .. 'b', text(lane.b), i .. 'p', text(lane.p), i .. 'n', text(lane.n), i .. 'w', text(lane.w))
  for bucket, count in pairs(lane.h) do redis.call('HINCRBY', KEYS[2 + i], text(bucket), count) end
  redis.call('EXPIRE', KEYS[2 + i], life)
  local schools = false
  for school, F in pairs(lane.F) do redis.call('HSET', KEYS[8 + i], school, text(F)) schools = true end
  if schools then redis.call('EXPIRE', KEYS[8 + i], life) end
end
redis.call('EXPIRE', numbers, life)
redis.call('EXPIRE', drawn, 3600)
return out
",
    )
});

/// KEYS: lanes, six of buckets. ARGV: fence. Four numbers a lane, the buckets of each, and the stamp that was there.
static READ: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local numbers, buckets, stamped = {}, {}, 0
if redis.call('EXISTS', KEYS[1]) == 1 then
  stamped = tonumber(redis.call('HGET', KEYS[1], 'fence') or '0')
  if stamped < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'fence', ARGV[1]) end
end
for i = 0, 5 do
  local r = redis.call('HMGET', KEYS[1], i .. 'T', i .. 'b', i .. 'p', i .. 'n')
  for k = 1, 4 do numbers[#numbers + 1] = r[k] end
  buckets[#buckets + 1] = r[1] and redis.call('HGETALL', KEYS[2 + i]) or {}
end
return {numbers, buckets, stamped}
",
    )
});

/// KEYS: lanes, six of buckets. ARGV: fence (0: none), then for each: lane, threshold, the first bucket that stays, and how
/// many leave that one. Returns how many people each move passes; nothing when a later leader has been here.
static ADVANCE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local fence = tonumber(ARGV[1])
if fence > 0 then
  if fence < tonumber(redis.call('HGET', KEYS[1], 'fence') or '0') then return {} end
  redis.call('HSET', KEYS[1], 'fence', ARGV[1])
end
local out = {}
for at = 2, #ARGV, 4 do
  local i, T, stop, leave = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local passed = 0
  local before = redis.call('HGET', KEYS[1], i .. 'T')
  if before and T > tonumber(before) then
    redis.call('HSET', KEYS[1], i .. 'T', ARGV[at + 1])
    local h = KEYS[2 + tonumber(i)]
    local all, total = redis.call('HGETALL', h), 0
    for k = 1, #all, 2 do
      local bucket, count = tonumber(all[k]), tonumber(all[k + 1])
      total = total + count
      if bucket < stop then
        passed = passed + count
        redis.call('HDEL', h, all[k])
      elseif bucket == stop and leave > 0 then
        local gone = math.min(leave, count)
        passed = passed + gone
        if gone == count then redis.call('HDEL', h, all[k]) else redis.call('HINCRBY', h, all[k], -gone) end
      end
    end
    redis.call('HSET', KEYS[1], i .. 'w', string.format('%.0f', total - passed))
  end
  out[#out + 1] = passed
end
return out
",
    )
});

/// KEYS: lanes, six of buckets. ARGV: life, then for each: lane, threshold, base, top, issued, count of buckets, buckets.
static RESTORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local at = 2
local function raise(field, to)
  local now = redis.call('HGET', KEYS[1], field)
  if not now or tonumber(now) < tonumber(to) then redis.call('HSET', KEYS[1], field, to) end
end
while ARGV[at] do
  local i = ARGV[at]
  raise(i .. 'T', ARGV[at + 1])
  raise(i .. 'b', ARGV[at + 2])
  raise(i .. 'p', ARGV[at + 3])
  redis.call('HINCRBY', KEYS[1], i .. 'n', ARGV[at + 4])
  local h, count = KEYS[2 + tonumber(i)], tonumber(ARGV[at + 5])
  at = at + 6
  for _ = 1, count do
    redis.call('HINCRBY', h, ARGV[at], ARGV[at + 1])
    redis.call('HINCRBY', KEYS[1], i .. 'w', ARGV[at + 1])
    at = at + 2
  end
  redis.call('EXPIRE', h, ARGV[1])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return redis.status_reply('OK')
",
    )
});

/// KEYS: leader. ARGV: node, life in ms, the greatest fence that the node knows. By the clock of Redis: nodes' own differ.
static LEAD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local r = redis.call('HMGET', KEYS[1], 'node', 'fence', 'until')
local fence, till = tonumber(r[2] or '0'), tonumber(r[3] or '0')
local text = string.format('%.0f', now + tonumber(ARGV[2]))
if till > now and r[1] ~= ARGV[1] then return {0, r[1]} end
if till <= now or fence == 0 then
  fence = math.max(fence, tonumber(ARGV[3])) + 1
  redis.call('HSET', KEYS[1], 'node', ARGV[1], 'fence', string.format('%.0f', fence))
end
redis.call('HSET', KEYS[1], 'until', text)
return {fence, ARGV[1]}
",
    )
});

static ABDICATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('HGET', KEYS[1], 'node') == ARGV[1] then redis.call('HSET', KEYS[1], 'until', '0') end
return redis.status_reply('OK')
",
    )
});

/// KEYS: what each said, until when it counts. ARGV: node, what it says, life in ms.
static BEAT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', string.format('%.0f', now))) do
  redis.call('HDEL', KEYS[1], dead)
  redis.call('ZREM', KEYS[2], dead)
end
return redis.call('HVALS', KEYS[1])
",
    )
});

static REDEEM: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
",
    )
});

static EXCHANGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'EX', ARGV[2]) then return false end
return redis.call('GET', KEYS[1])
",
    )
});

/// KEYS: a shard. ARGV: lease in ms, how many are kept, those, and those who left.
static SEATS: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local till, kept = string.format('%.0f', now + tonumber(ARGV[1])), tonumber(ARGV[2])
for k = 3, #ARGV do
  if k < 3 + kept then redis.call('ZADD', KEYS[1], till, ARGV[k]) else redis.call('ZREM', KEYS[1], ARGV[k]) end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], 7200000)
return redis.call('ZCARD', KEYS[1])
",
    )
});
