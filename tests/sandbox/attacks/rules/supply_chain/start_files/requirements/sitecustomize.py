"""What `site` imports at the start of an interpreter."""

import os

open("started", "w").close()
os._exit(3)
