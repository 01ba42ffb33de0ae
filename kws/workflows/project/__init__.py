"""A keyword as a project: a folder with its recordings, its model and its report, that every command can use.

:mod:`kws.studio` shows it on a page; each step of the page is one function here.
"""
