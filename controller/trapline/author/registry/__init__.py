"""Packs as their users and makers have them: found, added, chosen, moved on, checked and listed.

One rule: what others publish is hostile until it is read, and bounded from then on.
"""
