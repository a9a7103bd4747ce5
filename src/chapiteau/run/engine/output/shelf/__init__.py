"""All that is kept of a stream: its file, the ones it was turned to, packed ones too."""
