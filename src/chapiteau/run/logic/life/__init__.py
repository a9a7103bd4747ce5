"""How a process lives: restarts, causes of ends, schedules, scaling, the state of a service."""
