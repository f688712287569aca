"""Whole histories of a scheduler in one thread, each decided by one number; see the README of `testing`."""
