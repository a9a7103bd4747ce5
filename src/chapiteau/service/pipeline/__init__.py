"""From a request to its answer: parameters, body, the handler, the encoded reply."""
