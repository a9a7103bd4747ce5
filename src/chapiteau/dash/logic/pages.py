"""Response headers that keep a page ours: nothing inline, nothing foreign, nothing framed."""

from typing import Final

__all__ = ["PAGE_HEADERS", "REPORT_HEADERS"]

_COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "frame-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
PAGE_HEADERS: Final = {
    **_COMMON,
    "Content-Security-Policy": "; ".join(_POLICY),
    "X-Frame-Options": "DENY",
}

# A load report is a document of its own with its script inside. `sandbox` without
# allow-same-origin gives it an origin of nobody: it can read neither cookie nor API.
REPORT_HEADERS: Final = {
    **_COMMON,
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
        "style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; "
        "form-action 'none'"
    ),
}
