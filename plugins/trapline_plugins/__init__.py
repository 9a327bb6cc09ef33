"""The plugin API, the contract kit for plugin authors, and the built-in destinations. Never imports the controller."""
