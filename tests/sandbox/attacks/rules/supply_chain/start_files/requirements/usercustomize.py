"""What `site` imports after `sitecustomize`."""

import os

open("started", "w").close()
os._exit(3)
