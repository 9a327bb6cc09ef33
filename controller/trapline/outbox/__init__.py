"""What is to be said, durable: deliveries written with what they tell of, and what is known of the destinations."""
