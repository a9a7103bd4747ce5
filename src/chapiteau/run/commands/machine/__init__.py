"""Commands about the machine and the supervisor itself: units, upgrades, checks, schemas."""
