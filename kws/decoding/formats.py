"""Which files are audio, by the endings of their names: one list for folders, single files and the reader."""

from __future__ import annotations

LIBSNDFILE_SUFFIXES = frozenset(
    (".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2")
    + (".aif", ".aiff", ".aifc", ".au", ".snd", ".caf")
)
"""Read by libsndfile, which every installation has."""

FFMPEG_SUFFIXES = frozenset(
    (".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".qta", ".aac", ".3gp", ".3gpp", ".3g2", ".amr", ".awb")
    + (".webm", ".weba", ".mka", ".mkv", ".wma", ".asf", ".wmv", ".spx", ".ogv", ".ac3", ".eac3")
    + (".ape", ".wv", ".tta", ".avi", ".flv")
)
"""What phones, browsers and video programs write; read by the program ffmpeg."""

AUDIO_SUFFIXES = LIBSNDFILE_SUFFIXES | FFMPEG_SUFFIXES
"""File name endings, in lower case, that a folder scan takes for audio."""
