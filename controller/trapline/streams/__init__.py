"""Streams: records of a table as they land, handed over in parcels by one source for each way of landing."""
