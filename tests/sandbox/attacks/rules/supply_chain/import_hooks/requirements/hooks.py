"""Hooks into imports, in the ways that Python has."""

import builtins
import sys

original = builtins.__import__


class Finder:
    """Is asked before all others, and finds nothing."""

    def find_spec(self, name, path=None, target=None):
        return None


def imported(name, *arguments, **options):
    return original(name, *arguments, **options)


builtins.__import__ = imported
sys.meta_path.insert(0, Finder())
sys.path_hooks.insert(0, lambda path: (_ for _ in ()).throw(ImportError(path)))
