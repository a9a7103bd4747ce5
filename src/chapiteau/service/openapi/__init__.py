"""The OpenAPI document: written, checked, compared."""
