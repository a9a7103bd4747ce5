"""What the hub does: watch nodes, keep sessions, carry out actions."""
