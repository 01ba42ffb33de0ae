"""A small streaming network for microcontrollers, which learns what a detector hears."""
