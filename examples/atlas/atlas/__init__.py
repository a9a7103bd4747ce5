"""Atlas: the world's cities as a web service."""
