"""This machine: its supervisor, its services, its disks."""
