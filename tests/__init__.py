"""Tests of kws, data_prep and export; the folders mirror theirs."""
