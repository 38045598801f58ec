#!/usr/bin/env bash
# Builds the container image of a static program: `build.sh BINARY OUT`. OUT gets an OCI archive.
set -euo pipefail
binary=$(realpath "$1") out=$(realpath -m "$2")
cd "$(dirname "$0")"
target=$(realpath -m "${CARGO_TARGET_DIR:-../../target}")
version=$(cargo pkgid --manifest-path ../../Cargo.toml)
version=${version##*[#@]}
work=$target/container
rm -rf "$work"
mkdir -p "$work/context" "$out"
trap 'rm -rf "$work"' EXIT

cp "$binary" "$work/context/sse-clock"
cp ../../LICENSE "$work/context"
# Compiled anew, the time zones take a third of the bytes of /usr/share/zoneinfo.
zic -b slim -d "$work/context/zoneinfo" /usr/share/zoneinfo/tzdata.zi

storage=(--storage-driver vfs --root "$work/storage" --runroot "$work/run")
archive=$out/sse-clock-$version-linux-x64.oci.tar
rm -f "$archive"
buildah "${storage[@]}" bud --quiet --isolation chroot --label "org.opencontainers.image.version=$version" \
    --label org.opencontainers.image.licenses=MIT --tag "sse-clock:$version" --file Dockerfile "$work/context"
buildah "${storage[@]}" push --quiet "sse-clock:$version" "oci-archive:$archive:sse-clock:$version"
