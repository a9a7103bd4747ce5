"""Stores of idempotency keys and budgets that several machines share."""

from chapiteau.service.engine.stores.redis import RedisRates, RedisStore

__all__ = ["RedisRates", "RedisStore"]
