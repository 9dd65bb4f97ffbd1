#!/bin/sh
# Namespace and search attributes; safe to run again.
set -eu

temporal operator namespace describe --namespace default >/dev/null 2>&1 ||
    temporal operator namespace create --namespace default --retention 30d

known=$(temporal operator search-attribute list --namespace default)
for name in IpAddress Stage Pool Sender; do
    echo "$known" | grep -qw "$name" ||
        temporal operator search-attribute create --namespace default --name "$name" --type Keyword
done
