"""The requests of one name: when and how they went, and what a change did to them."""
