"""The only place that knows Pyramid: declarations, plans, lanes, answers, the worker."""
