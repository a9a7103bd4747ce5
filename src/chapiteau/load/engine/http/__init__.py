"""The measuring HTTP client: one epoll descriptor of its own inside the user's asyncio loop."""
