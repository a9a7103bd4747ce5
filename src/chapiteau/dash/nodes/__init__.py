"""Many servers: nodes dial out to the hub, over TLS with certificates of the hub's own making."""
