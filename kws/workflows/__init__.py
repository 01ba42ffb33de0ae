"""What each command does, as functions that return what they found and print nothing.

The one room that joins ``kws``, ``data_prep`` and ``export``; :mod:`kws` hands the functions on.
"""
