#!/usr/bin/env bash
# One version of what crosses crate borders, and a lock file that fits Cargo.toml.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
cargo metadata --locked --format-version 1 --no-deps >/dev/null || {
  echo "lock: Cargo.lock does not fit Cargo.toml: run cargo update --workspace and commit it" >&2
  exit 1
}
code=0
for crate in arrow arrow-array arrow-schema parquet object_store datafusion deltalake-core rdkafka-sys; do
  versions=$(awk -v crate="\"$crate\"" '$1 == "name" { found = $3 == crate } found && $1 == "version" { print $3 }' Cargo.lock)
  if [[ $(wc -w <<<"$versions") -ne 1 ]]; then
    echo "lock: expected one version of $crate, found: $(xargs <<<"$versions")" >&2
    code=1
  fi
done
exit $code
