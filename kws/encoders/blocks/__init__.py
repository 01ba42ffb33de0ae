"""Kinds of blocks that an embedded encoder is stacked from, one file each."""
