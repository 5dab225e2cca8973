#!/usr/bin/env bash
# An S3-compatible server with atomic conditional PUT (versitygw), built from the Go module proxy.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=v1.8.0

usage() {
  cat <<'TEXT'
usage: s3.sh start DIR [BUCKET [CERTIFICATES]] | stop DIR | download

  start DIR [BUCKET]   start a server whose objects are plain files under DIR/objects, make BUCKET (default lake)
                       and print S3_ENDPOINT, S3_REGION, S3_BUCKET, S3_OBJECTS, AWS_ACCESS_KEY_ID and
                       AWS_SECRET_ACCESS_KEY as lines for eval. One that runs already is left alone.
                       With CERTIFICATES, a folder of certificates.sh, it speaks TLS.
  stop DIR             stop it; the objects stay
  download             build the server only

Needs go for the first start, python3, and a file system with user xattrs (ext4, xfs, btrfs).
The binary is kept in ${TICKHOUSE_CACHE:-target/servers}.
TEXT
}

server=$cache/versitygw-$version/versitygw

download() {
  [[ -x $server ]] && return
  need go "install Go 1.24 or newer"
  mkdir -p "$(dirname "$server")"
  GOBIN="$(dirname "$server")" go install "github.com/versity/versitygw/cmd/versitygw@$version" >&2 ||
    die "can't build versitygw $version"
}

# healthy PORT
healthy() {
  python3 - "$scheme" "$1" 2>/dev/null <<'PY'
import ssl, sys, urllib.request
scheme, port = sys.argv[1:]
anyone = ssl._create_unverified_context() if scheme == "https" else None
urllib.request.urlopen(f"{scheme}://127.0.0.1:{port}/healthz", timeout=1, context=anyone)
PY
}

launch() {
  local dir=$1 port=$2 secret=$3
  ROOT_ACCESS_KEY=tickhouse ROOT_SECRET_KEY=$secret setsid "$server" --quiet --region us-east-1 "${tls[@]}" \
    --health /healthz --port "127.0.0.1:$port" posix "$dir/objects" >>"$dir/s3.log" 2>&1 </dev/null &
  echo $! >"$dir/s3.pid"
  wait_until 20 $! healthy "$port"
}

describe() {
  local dir=$1 port=$2 bucket=$3
  # A folder below the root is a bucket.
  mkdir -p "$dir/objects/$bucket"
  cat <<TEXT
S3_ENDPOINT=$scheme://127.0.0.1:$port
S3_REGION=us-east-1
S3_BUCKET=$bucket
S3_OBJECTS=$dir/objects
AWS_ACCESS_KEY_ID=tickhouse
AWS_SECRET_ACCESS_KEY=$(<"$dir/secret")
TEXT
}

start() {
  local dir port='' bucket=$2 try
  scheme=http tls=()
  if [[ -n $3 ]]; then
    scheme=https tls=(--cert "$3/server.pem" --key "$3/server.key")
  fi
  need python3 "install Python 3.11"
  dir=$(absolute_dir "$1")
  mkdir -p "$dir/objects"
  [[ -f $dir/port ]] && port=$(<"$dir/port")
  if [[ -f $dir/s3.pid ]] && is_ours "$(<"$dir/s3.pid")" "$dir/objects" && healthy "$port"; then
    describe "$dir" "$port" "$bucket"
    return
  fi
  download
  [[ -f $dir/secret ]] || (umask 077 && python3 -c 'import secrets; print(secrets.token_hex(20))' >"$dir/secret")
  for try in 1 2 3; do
    if [[ -z $port || $try -gt 1 ]] || port_open "$port"; then
      port=$(free_ports 1)
    fi
    if launch "$dir" "$port" "$(<"$dir/secret")"; then
      echo "$port" >"$dir/port"
      describe "$dir" "$port" "$bucket"
      return
    fi
    stop_process "$dir/s3.pid" "$dir/objects"
  done
  tail -n 20 "$dir/s3.log" >&2
  die "the S3 server was not ready within 20 s, three times; its log is $dir/s3.log"
}

case ${1:-} in
  start) [[ $# -ge 2 && $# -le 4 ]] || { usage >&2; exit 2; }; start "$2" "${3:-lake}" "${4:-}" ;;
  stop)
    [[ $# -eq 2 ]] || { usage >&2; exit 2; }
    [[ -d $2 ]] || exit 0
    dir=$(absolute_dir "$2")
    stop_process "$dir/s3.pid" "$dir/objects"
    ;;
  download) download ;;
  -h | --help | help) usage ;;
  *) usage >&2; exit 2 ;;
esac
