"""The command line: finds the group, imports it when asked for, turns errors into exit codes."""
