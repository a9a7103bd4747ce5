"""Extensions of other programs."""
