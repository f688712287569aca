"""Fakes that ship: what this project's tests, and its users' tests, put in place of the world outside."""
