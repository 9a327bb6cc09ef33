"""Desired state from git -> digests -> builds -> deployments."""
