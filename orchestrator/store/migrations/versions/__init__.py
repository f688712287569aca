"""Revisions, numbered in order."""
