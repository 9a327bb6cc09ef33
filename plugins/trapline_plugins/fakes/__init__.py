"""Other sides to test a destination against: each keeps what it was sent, shows it, and fails as it is told to.

They are real servers on a socket of this machine. They refuse what the real service would refuse, so that a
test that passes says something; they never call anybody.
"""
