"""The brain: configuration, policy, health and the control API; it may die at any moment."""
