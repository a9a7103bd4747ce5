"""The page: every server and service, what is wrong, and the buttons that remedy it."""
