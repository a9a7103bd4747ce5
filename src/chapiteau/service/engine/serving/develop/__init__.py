"""The development server: reload on change, and pages that tell what went wrong."""

from chapiteau.service.engine.serving.develop.errors import DevelopApp
from chapiteau.service.engine.serving.develop.reload import (
    CHANGED,
    keep_serving,
    own_files,
    stamps,
    watch,
)

__all__ = ["CHANGED", "DevelopApp", "keep_serving", "own_files", "stamps", "watch"]
