"""Opens audio files of any format and gives their samples piece by piece; ``kws.audio`` is the only door."""
