"""Whose scenario file is it? Told from its imports, without running it."""

import ast
from typing import Literal

__all__ = ["Kind", "foreign_kind"]

Kind = Literal["", "molotov", "loads", "locust"]


def foreign_kind(text: str) -> Kind:
    """The load tester that a Python file was written for; "" for ours, and for what is no Python.

    A file that imports chapiteau is ours, whatever else it imports.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""  # whoever imports it will say where the fault is
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    if "chapiteau" in names:
        return ""
    if "molotov" in names:
        return "molotov"
    if "locust" in names:
        return "locust"
    return "loads" if "loads" in names else ""
