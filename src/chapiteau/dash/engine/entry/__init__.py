"""Ways in that need somebody else: an identity provider."""
