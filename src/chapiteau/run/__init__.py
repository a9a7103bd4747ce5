"""Keep processes alive: supervisor, sockets, readiness, reload without loss, logs."""
