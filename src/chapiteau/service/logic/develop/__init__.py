"""What a developer sees while writing a service; nothing of it is there in production."""
