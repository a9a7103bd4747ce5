"""Nodes that lend themselves as load machines: a relay on each, its lines over the hub's link."""
