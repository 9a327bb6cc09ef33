"""Matches become alerts, and alerts are told: what is to be said goes into the outbox. Nobody here sends anything."""
