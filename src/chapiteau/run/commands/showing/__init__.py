"""What people see: boards, lines, progress, and waiting for what comes."""
