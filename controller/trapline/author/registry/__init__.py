"""Packs as their users and makers have them: found, added, chosen, moved on, checked and listed."""
