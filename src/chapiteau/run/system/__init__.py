"""The machine below: sockets, cgroups, numbers from /proc, file changes."""
