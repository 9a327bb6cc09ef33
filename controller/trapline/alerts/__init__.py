"""Matches become alerts, alerts become deliveries. The lifecycle is pure; the outbox is durable."""
