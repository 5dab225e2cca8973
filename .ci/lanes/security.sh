#!/usr/bin/env bash
# TLS, SASL and the keys of a store on real servers: what is right works; what is wrong is told in one line, at once,
# with the fix and its exit code; and no secret shows in the output of any log level.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../../tests/servers/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/servers/lib.sh"
cd "$repo"
begin_lane
start_server kafka.sh secure
start_server s3.sh

user=$KAFKA_USER
password=$(<"$KAFKA_PASSWORD_FILE")
wrong=$(python3 -c 'import secrets; print("wrong" + secrets.token_hex(16))')
certificates=$KAFKA_CERTIFICATES
ca=(--ca "$certificates/ca.pem")
pair=(--certificate "$certificates/client.pem" --key "$certificates/client.key")
login=(--username "$user")
loudest=(--log "trace,tickhouse=trace,librdkafka=trace")
# A one-shot command waits 60 s for brokers that are away.
at_once=20
run_number=0

# tickhouse ARG..: output in $out and $err, exit code in $code, seconds in $seconds; no secret in the output.
tickhouse() {
  local begun=$SECONDS secret
  run_number=$((run_number + 1))
  out=$work/$run_number.out err=$work/$run_number.err code=0
  "$binary" "$@" >"$out" 2>"$err" </dev/null || code=$?
  seconds=$((SECONDS - begun))
  for secret in "$password" "$wrong" "$AWS_SECRET_ACCESS_KEY"; do
    ! grep -qF -- "$secret" "$out" "$err" || die "a secret shows in $err: tickhouse $*"
  done
}

# works ARG..
works() {
  tickhouse "$@"
  [[ $code -eq 0 ]] || { tail -n 5 "$err" >&2; die "exit $code: tickhouse $*"; }
}

# refused CODE WORDS.. -- ARG..: ends at once with the code and one error, and all the words are there.
refused() {
  local expected=$1 words=() word line
  shift
  while [[ $1 != -- ]]; do
    words+=("$1")
    shift
  done
  shift
  tickhouse "$@"
  line=$(grep '^error: ' "$err") || { tail -n 5 "$err" >&2; die "no error, exit $code: tickhouse $*"; }
  [[ $code -eq $expected ]] || die "exit $code, not $expected: tickhouse $*: $line"
  [[ $(wc -l <<<"$line") -eq 1 ]] || die "several errors: $line"
  [[ $seconds -le $at_once ]] || die "after $seconds s: tickhouse $*: $line"
  for word in "${words[@]}"; do
    grep -qF -- "$word" "$err" || die "no '$word' in: $(<"$err")"
  done
}

# lands COUNT MODE HOST:PORT FLAG..: that many are acknowledged, and as many rows are in a new lake.
lands() {
  local count=$1 mode=$2 at=$3
  shift 3
  works produce simulate --topic "$mode" --partitions 2 --rate 0 --count "$count" --brokers "$at" "$@"
  grep -q "^acknowledged $count of $count " "$out" || die "$(cat "$out")"
  works ingest --topic "$mode" --table "$work/$mode" --until-latest --brokers "$at" "$@" "${loudest[@]}" -X debug=all
  works query --table "$work/$mode" "SELECT count(*) AS n FROM ticks" --format csv
  [[ $(tail -n 1 "$out") == "$count" ]] || die "$mode: $(tail -n 1 "$out") rows of $count"
  ! grep -rqF -- "$password" "$work/$mode" || die "the password is in the table"
}

export TICKHOUSE_KAFKA_PASSWORD=$password
lands 2001 scram-512 "$SASL_TLS_BROKERS" "${ca[@]}" "${login[@]}"
lands 2002 scram-256 "$SASL_TLS_BROKERS" "${ca[@]}" "${login[@]}" --mechanism SCRAM-SHA-256
lands 2003 no-tls "$SASL_BROKERS" "${login[@]}" --mechanism PLAIN
unset TICKHOUSE_KAFKA_PASSWORD
lands 2004 mutual-tls "$TLS_BROKERS" "${ca[@]}" "${pair[@]}"
TICKHOUSE_KAFKA_PASSWORD_FILE=$KAFKA_PASSWORD_FILE lands 2005 from-file "$SASL_TLS_BROKERS" "${ca[@]}" "${login[@]}"
lands 2006 by-properties "$SASL_BROKERS" -X security.protocol=sasl_plaintext -X sasl.mechanism=SCRAM-SHA-256 \
  -X sasl.username="$user" -X sasl.password="$password"
echo "what is right works"

topic=(--topic scram-512)
table=(--table "$work/refused")
produce=(produce simulate --count 1 "${topic[@]}")
batch=(ingest --until-latest "${topic[@]}" "${table[@]}")
daemon=(ingest "${topic[@]}" "${table[@]}")
dry=(ingest --dry-run "${topic[@]}")

export TICKHOUSE_KAFKA_PASSWORD=$wrong
secured=(--brokers "$SASL_TLS_BROKERS" "${ca[@]}" "${login[@]}")
fix=(TICKHOUSE_KAFKA_PASSWORD --username)
refused 2 "'$user'" SCRAM-SHA-512 "${fix[@]}" -- "${produce[@]}" "${secured[@]}"
refused 2 "'$user'" SCRAM-SHA-512 "${fix[@]}" -- "${batch[@]}" "${secured[@]}"
refused 2 "'$user'" SCRAM-SHA-512 "${fix[@]}" -- "${daemon[@]}" "${secured[@]}"
refused 2 "'$user'" SCRAM-SHA-512 "${fix[@]}" -- "${dry[@]}" "${secured[@]}"
refused 2 "'$user'" SCRAM-SHA-256 "${fix[@]}" -- "${daemon[@]}" "${secured[@]}" --mechanism SCRAM-SHA-256 --log debug
refused 2 "'$user'" "${fix[@]}" -- "${daemon[@]}" "${secured[@]}" "${loudest[@]}" -X debug=all
refused 2 "'$user'" PLAIN "${fix[@]}" -- "${daemon[@]}" --brokers "$SASL_BROKERS" "${login[@]}" --mechanism PLAIN
export TICKHOUSE_KAFKA_PASSWORD=$password
refused 2 "'nobody'" SCRAM-SHA-512 "${fix[@]}" -- "${daemon[@]}" --brokers "$SASL_TLS_BROKERS" "${ca[@]}" --username nobody
echo "a wrong password is told"

refused 2 PLAIN --mechanism SCRAM-SHA-512,SCRAM-SHA-256 -- "${daemon[@]}" "${secured[@]}" --mechanism PLAIN
refused 2 OAUTHBEARER SCRAM-SHA-512 -- "${daemon[@]}" "${secured[@]}" --mechanism OAUTHBEARER
refused 2 sasl.mechanism SCRAM-SHA-512 -- "${daemon[@]}" "${secured[@]}" -X sasl.mechanism=OAUTHBEARER
refused 2 "no SASL log-in" --username -- "${daemon[@]}" --brokers "$BROKERS" "${login[@]}"
echo "a mechanism that the brokers don't have is told"

for command in produce batch daemon; do
  declare -n how=$command
  refused 2 certificate --ca authority -- "${how[@]}" --brokers "$SASL_TLS_BROKERS" "${login[@]}" --ca "$certificates/other-ca.pem"
done
refused 2 certificate --ca -- "${daemon[@]}" --brokers "$SASL_TLS_BROKERS" "${login[@]}" --tls
refused 2 kafka.ca "no file" -- "${daemon[@]}" --brokers "$SASL_TLS_BROKERS" "${login[@]}" --ca "$work/missing.pem"
refused 2 --ca "can't be used" -- "${daemon[@]}" --brokers "$SASL_TLS_BROKERS" "${login[@]}" --ca "$certificates/ca.key"
refused 2 --key mismatch -- "${daemon[@]}" "${secured[@]}" --certificate "$certificates/client.pem" --key "$certificates/ca.key"
unset TICKHOUSE_KAFKA_PASSWORD
refused 2 "another host" -- "${daemon[@]}" --brokers "$ELSEWHERE_BROKERS" "${ca[@]}"
refused 2 --certificate --key -- "${daemon[@]}" --brokers "$TLS_BROKERS" "${ca[@]}"
echo "a wrong certificate is told"

# A proxy in front of a broker that starts closes connections as well, so these are told and, by a daemon, tried again.
refused 2 --tls -- "${produce[@]}" --brokers "$TLS_BROKERS"
refused 2 "without TLS" -- "${batch[@]}" --brokers "$BROKERS" --tls
refused 2 --username -- "${batch[@]}" --brokers "$SASL_BROKERS"
export TICKHOUSE_KAFKA_PASSWORD=$password
refused 2 --tls -- "${batch[@]}" --brokers "$SASL_TLS_BROKERS" "${login[@]}"
refused 2 "without TLS" -- "${batch[@]}" --brokers "$SASL_BROKERS" "${ca[@]}" "${login[@]}"
echo "a port that speaks another protocol is told"

# background NAME ARG..: a daemon whose log is $work/NAME.log; its process id in $worker.
background() {
  log=$work/$1.log
  : >"$log"
  "$binary" "${@:2}" >>"$log" 2>&1 </dev/null &
  worker=$!
}

# told WORDS: the daemon lives and says so.
told() {
  wait_until 45 "$worker" grep -qF -- "$1" "$log" || { tail -n 5 "$log" >&2; die "$log: no '$1'"; }
}

# leaves: by SIGTERM with 0, and no secret was told.
leaves() {
  kill "$worker"
  wait "$worker" || die "$log: exit $?"
  ! grep -qF -e "$password" -e "$wrong" "$log" || die "a secret shows in $log"
}

background guess ingest "${topic[@]}" "${table[@]}" --brokers "$SASL_TLS_BROKERS" "${login[@]}"
told "set --tls"
leaves

set_password() {
  NEW_PASSWORD=$1 "$python" tests/check/scram.py --brokers "$BROKERS" --user "$user" --password-variable NEW_PASSWORD
}

# Once it runs, a refused log-in is no reason to leave: passwords are changed on both sides one after the other.
background changed ingest --topic scram-512 --table "$work/scram-512" "${secured[@]}" --flush-interval 1s
told "reading partition=1"
set_password "$wrong"
"$repo/tests/servers/kafka.sh" stop "$work/kafka"
start_server kafka.sh secure
told "user '$user' can't log in with SCRAM-SHA-512"
set_password "$password"
works produce simulate --count 7 --rate 0 "${topic[@]}" "${secured[@]}"
told "committed"
leaves
works query --table "$work/scram-512" "SELECT count(*) AS n FROM ticks" --format csv
[[ $(tail -n 1 "$out") == 2008 ]] || die "$(tail -n 1 "$out") rows, not 2008"
echo "a log-in that is refused later is told and tried again"

store=(--s3-endpoint "$S3_ENDPOINT" --s3-region "$S3_REGION")
in_bucket=("${secured[@]}" "${topic[@]}" --table "s3://$S3_BUCKET/security")
works ingest --until-latest "${in_bucket[@]}" "${store[@]}" --s3-allow-http "${loudest[@]}" -X debug=all
works query --table "s3://$S3_BUCKET/security" "${store[@]}" --s3-allow-http "${loudest[@]}" "SELECT count(*) FROM ticks"
! grep -rqF -e "$password" -e "$AWS_SECRET_ACCESS_KEY" "$S3_OBJECTS" || die "a secret is in the bucket"
refused 2 --s3-allow-http -- ingest --until-latest "${in_bucket[@]}" "${store[@]}"
AWS_SECRET_ACCESS_KEY=$wrong TICKHOUSE_STORE_SESSION_TOKEN='' \
  refused 2 credentials "secret key" -- ingest --until-latest "${in_bucket[@]}" "${store[@]}" --s3-allow-http "${loudest[@]}"
echo "a store's keys show nowhere"

# The same store with TLS, under an authority of its own.
set -a
eval "$("$repo/tests/servers/s3.sh" start "$work/s3-tls" lake "$certificates")"
set +a
store=(--s3-endpoint "$S3_ENDPOINT" --s3-region "$S3_REGION")
in_bucket=("${secured[@]}" "${topic[@]}" --table "s3://$S3_BUCKET/tls")
SSL_CERT_FILE=$certificates/ca.pem works ingest --until-latest "${in_bucket[@]}" "${store[@]}" "${loudest[@]}"
SSL_CERT_FILE=$certificates/ca.pem works query --table "s3://$S3_BUCKET/tls" "${store[@]}" --format csv "SELECT count(*) AS n FROM ticks"
[[ $(tail -n 1 "$out") == 2008 ]] || die "over TLS: $(tail -n 1 "$out") rows, not 2008"
refused 1 certificate SSL_CERT_FILE -- query --table "s3://$S3_BUCKET/tls" "${store[@]}" "SELECT count(*) FROM ticks"
SSL_CERT_FILE=$certificates/other-ca.pem refused 1 certificate SSL_CERT_FILE -- ingest --until-latest "${in_bucket[@]}" "${store[@]}"
echo "a store with TLS works with its authority, and is refused without"
