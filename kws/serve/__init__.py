"""A wake-word service in the Wyoming protocol, for Home Assistant and its satellites; `kws serve` runs it.

Needs the extra ``serve`` and no torch. :mod:`kws.serve.service` joins the parts: :mod:`kws.serve.library`
holds the models, :mod:`kws.serve.streams` one client's audio, :mod:`kws.serve.connection` its messages.
"""
