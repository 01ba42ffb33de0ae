"""The studio: a page on this machine that makes a wake word, for a person who writes no commands.

``kws studio`` calls :func:`kws.studio.server.serve`. What a page does is a function of :mod:`kws.workflows`;
here are the pages, the addresses that they call, what keeps strangers out, and the process that trains.
"""
