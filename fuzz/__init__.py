"""Fuzzing: `python -m fuzz TARGET` feeds one way in with broken input until something breaks, or time is up."""
