"""The HTTP side: webhooks as hints to look at the repository, and health. It changes nothing and shows no content."""
