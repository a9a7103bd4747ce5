"""Shims of migrate."""
