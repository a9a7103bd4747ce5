"""What a service tells about itself: its document, and a page to read it."""
