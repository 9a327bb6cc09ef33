"""Asks the cloud's metadata service for the machine's credentials."""

import urllib.request

EXPECT = {"outcome": "nothing", "process": "not stopped"}
PATHS = ("latest/meta-data/iam/security-credentials/", "computeMetadata/v1/instance/service-accounts/default/token")


def detect(record):
    for host in ("169.254.169.254", "[fd00:ec2::254]"):
        for path in PATHS:
            try:
                urllib.request.urlopen(f"http://{host}/{path}", timeout=0.2)
            except OSError:
                continue
            return True
    return False
