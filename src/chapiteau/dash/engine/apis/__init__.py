"""What the hub knows of services' own APIs."""
