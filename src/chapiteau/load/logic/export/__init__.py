"""A running test's numbers in the forms that monitoring systems take. Values and bytes only."""
