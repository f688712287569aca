"""Frozen values: what a DAG file said (`dag`), and one container fully decided (`container`)."""
