"""The entry point of a build: a copy of this file stands at its root, beside `trapline_sandbox/`."""

import sys

from trapline_sandbox.main import main

# A build is started as `python3 -I -S -B -X utf8 ROOT`, which puts ROOT first on the path. All of the runtime is loaded
# by now, and nothing else in ROOT is anyone's to import.
sys.exit(main(sys.path.pop(0)))
