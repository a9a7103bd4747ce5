"""A Postman collection (v2.0, v2.1) as a load test: each session sends its requests in order."""

from chapiteau.load.logic.inputs.postman.collection import read_postman
from chapiteau.load.logic.inputs.postman.flow import PostmanFlow

__all__ = ["PostmanFlow", "read_postman"]
