"""What hubs and nodes agree on: events, commands, wanted states, leases; built in, or by NATS."""
