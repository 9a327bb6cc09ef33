"""The demonstration: made-up deliveries with planted attacks, and the story told about them."""
