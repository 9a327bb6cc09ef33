"""A detection's requirements: where packages come from, locked with hashes, fetched. Nothing of them is run here."""
