"""Looks for sockets in the file system that obey whoever can open them: the engine's, the message bus's, agents'."""

import glob
import socket

EXPECT = {"outcome": "nothing", "process": "not stopped"}
USUAL = (
    "/var/run/docker.sock",
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    *glob.glob("/tmp/ssh-*/agent.*"),
    *glob.glob("/run/user/*/*"),
)


def detect(record):
    for path in (*USUAL, record["known"]["unix_socket"]):
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)
                client.sendall(b"ESCAPED")
        except OSError:
            continue
        return True
    return False
