"""Texts that are written for others: systemd units, schemas for editors."""
