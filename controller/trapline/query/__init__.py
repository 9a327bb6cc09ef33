"""Engines behind one interface, and the windows they are asked for."""
