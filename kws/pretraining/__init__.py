"""Transcribed speech to the embedded phone recogniser: recipe, speech, batches, loop, readings."""
