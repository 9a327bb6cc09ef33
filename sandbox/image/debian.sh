#!/bin/sh
# Makes a base image for detections out of Debian's packages alone, for machines that reach no image registry.
# usage: sandbox/image/debian.sh [IMAGE]      needs root, debootstrap and a running Docker engine
set -eu
image=${1:-trapline-base:bookworm}
if docker image inspect "$image" >/dev/null 2>&1; then
    echo "$image is there already"
    exit 0
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include=python3-minimal,python3-venv,ca-certificates bookworm "$root/debian" >"$root/log" \
    || { tail -n 20 "$root/log" >&2; exit 1; }
rm -rf "$root"/debian/var/cache/apt/archives/*.deb "$root"/debian/var/lib/apt/lists/*
tar -C "$root/debian" -c . | docker import --change 'CMD ["python3"]' - "$image"
