"""What goes over the wire, read and decided: requests, media types, origins, versions, pages."""
