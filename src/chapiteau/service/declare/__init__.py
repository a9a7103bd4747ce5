"""What `Service` and `resource` make of what is declared."""
