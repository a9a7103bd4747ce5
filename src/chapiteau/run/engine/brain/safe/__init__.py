"""What a brain is after others have crashed."""
