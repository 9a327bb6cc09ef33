"""What can be known of a rule before it runs: which records cannot match, and which columns it can touch."""
