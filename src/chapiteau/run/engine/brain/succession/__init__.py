"""What one brain, keeper or supervisor leaves to the next, and how the next takes it."""
