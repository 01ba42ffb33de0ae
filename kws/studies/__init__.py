"""Studies: a grid of choices, numbers of recordings, keywords and seeds, what it cost and what it says.

Data, training and export are not here: `kws study` brings them, and this package plans, runs, counts,
compares and shows.
"""
