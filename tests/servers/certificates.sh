#!/usr/bin/env bash
# Keys and certificates for tests, made on the spot: never for anything else.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ $# -ne 1 || $1 == -h || $1 == --help ]]; then
  cat <<'TEXT'
usage: certificates.sh DIR

Makes in DIR, if they are not there yet:

  ca.pem                   an authority of its own, valid for 30 days
  server.pem server.key    a server of localhost and 127.0.0.1, signed by it (the key is PKCS#8)
  elsewhere.pem elsewhere.key   the same for the host kafka.invalid
  client.pem client.key    the client "tick", signed by it
  other-ca.pem             an authority that has signed nothing here
TEXT
  [[ $# -eq 1 ]] || exit 2
  exit 0
fi

need openssl "install OpenSSL 3 (Debian: apt-get install openssl)"
dir=$(absolute_dir "$1")
[[ ! -f $dir/.complete ]] || exit 0
umask 077
cd "$dir"

quietly() {
  "$@" >>openssl.log 2>&1 || { cat openssl.log >&2; die "openssl failed"; }
}

authority() {
  quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 30 -subj "/CN=$2" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -keyout "$1.key" -out "$1.pem"
}

# signed NAME COMMON_NAME EXTENSIONS
signed() {
  quietly openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj "/CN=$2" \
    -keyout "$1.key" -out "$1.csr"
  printf '%s\n' "$3" >"$1.ext"
  quietly openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -days 30 -extfile "$1.ext" -out "$1.pem"
}

authority ca "tickhouse tests"
authority other-ca "tickhouse tests, another authority"
signed server localhost "subjectAltName=DNS:localhost,IP:127.0.0.1"
signed elsewhere kafka.invalid "subjectAltName=DNS:kafka.invalid"
signed client tick "extendedKeyUsage=clientAuth"
rm -f ./*.csr ./*.ext ./*.srl
touch .complete
