"""The host side of the sandbox. Whatever a worker says is hostile until checked."""
