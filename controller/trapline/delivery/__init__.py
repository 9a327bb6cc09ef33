"""The way out: plugins found, destinations made of them, and what is due in the outbox brought to them."""
