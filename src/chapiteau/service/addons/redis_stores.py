"""Keys and budgets in Redis (or Valkey): one script per decision, so nobody comes between."""

import logging
import uuid
from typing import Any, Final

import msgspec

from chapiteau.service.addons.idempotency import SavedResponse, StoreUnavailableError
from chapiteau.service.addons.stores import RedisConnection
from chapiteau.service.protocol.rate_limit import RateDecision, RateLimit, spend

__all__ = ["RedisRates", "RedisStore"]

_log = logging.getLogger("chapiteau.service.redis")

_AWAY: Final = 1.0  # seconds without asking after it gave none

# A key is ours when it is free, when it is ours already (the client repeats what got no answer), or
# when its holder has not finished for too long.
_TAKE: Final = """
local kept = redis.call('HMGET', KEYS[1], 'since', 'done', 'saved', 'owner')
local since, older = tonumber(kept[1] or ''), tonumber(ARGV[2])
if since and kept[4] ~= ARGV[5] and (kept[2] == '1' or since > older) then
  return kept[3]
end
redis.call('HSET', KEYS[1], 'since', ARGV[1], 'done', '0', 'saved', ARGV[3], 'owner', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return false
"""
_KEEP: Final = """
if redis.call('HGET', KEYS[1], 'since') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'done', '1', 'saved', ARGV[2])
return 1
"""
_DROP: Final = """
if redis.call('HGET', KEYS[1], 'since') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
# The same rule as `spend`, by the clock of Redis; it gives back what `spend` needs to say the rest.
_SPEND: Final = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local seconds, each = tonumber(ARGV[1]), tonumber(ARGV[2])
local kept = redis.call('GET', KEYS[1])
local before = now
if kept then before = math.min(math.max(tonumber(kept), now), now + seconds) end
local after = before + each
if after - now - seconds <= 0.000001 * seconds then
  local life = math.max(1, math.ceil((after - now) * 1000))
  redis.call('SET', KEYS[1], string.format('%.17g', after), 'PX', life)
end
return {kept or '', string.format('%.17g', now)}
"""


class RedisStore(RedisConnection):
    """Idempotency keys for all machines that ask the same Redis; answers live for `days`.

    While Redis is away, requests with a key are refused (503): doing one twice is what the key was
    sent to prevent. `url` is redis://, rediss:// or unix://.
    """

    def __init__(self, url: str, *, days: float = 1.0, prefix: str = "chapiteau:key:") -> None:
        super().__init__(url, prefix)
        self._life = int(days * 86_400_000)
        self._take, self._keep, self._drop = map(
            self._client.register_script, (_TAKE, _KEEP, _DROP)
        )

    def take(self, key: str, mine: SavedResponse, *, older_than: float) -> SavedResponse | None:
        """See IdempotencyStore. Raises StoreUnavailableError."""
        packed = msgspec.msgpack.encode(mine)
        words = [repr(mine.since), repr(older_than), packed, self._life, uuid.uuid4().hex]
        try:
            found = self._take(keys=[self._prefix + key], args=words)
        except self._errors as exc:
            _log.error("no answer from Redis: %s", exc)
            raise StoreUnavailableError(headers={"Retry-After": "1"}) from None
        return None if found is None else msgspec.msgpack.decode(found, type=SavedResponse)

    def keep(self, key: str, done: SavedResponse) -> None:
        """See IdempotencyStore; the work is done, so a Redis that is away is only logged."""
        packed = msgspec.msgpack.encode(done)
        self._tell(self._keep, key, repr(done.since), packed)

    def drop(self, key: str, mine: SavedResponse) -> None:
        """See IdempotencyStore."""
        self._tell(self._drop, key, repr(mine.since))

    def _tell(self, script: Any, key: str, *words: Any) -> None:
        try:
            script(keys=[self._prefix + key], args=words)
        except self._errors as exc:
            _log.error("key %s is not kept in Redis: %s", key, exc)


class RedisRates(RedisConnection):
    """Budgets for all machines that ask the same Redis.

    While it is away, every request may pass, and a line in the log says so.
    """

    def __init__(self, url: str, *, prefix: str = "chapiteau:rate:") -> None:
        super().__init__(url, prefix)
        self._script = self._client.register_script(_SPEND)
        self._silent_until = float("-inf")

    def spend(self, key: str, limit: RateLimit, now: float) -> RateDecision:
        """See RateStore; time is that of Redis, since the clocks of machines differ."""
        if now < self._silent_until:
            return spend(limit, None, now)[1]
        words = [repr(limit.seconds), repr(limit.seconds / limit.requests)]
        try:
            kept, time = self._script(keys=[self._prefix + key], args=words)
        except self._errors as exc:
            _log.error("no limits: no answer from Redis: %s", exc)
            self._silent_until = now + _AWAY
            return spend(limit, None, now)[1]
        return spend(limit, float(kept) if kept else None, float(time))[1]
