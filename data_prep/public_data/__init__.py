"""Audio of others for training, fetched by name: speech without the keyword, noise, and rooms."""

from data_prep.public_data.base import ROLES, PublicData
from data_prep.public_data.catalog import CATALOG, find, fleurs, parts_of
from data_prep.public_data.check import Checked, check
from data_prep.public_data.fetched import FetchedData, fetched_in, folder
from data_prep.public_data.store import fetch_data

__all__ = [
    "CATALOG",
    "ROLES",
    "Checked",
    "FetchedData",
    "PublicData",
    "check",
    "fetch_data",
    "fetched_in",
    "find",
    "fleurs",
    "folder",
    "parts_of",
]
