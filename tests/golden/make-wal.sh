#!/usr/bin/env bash
# Makes, with the real etcd in BIN, the two kinds of WAL and .snap that make-golden.sh does not.
# usage: make-wal.sh BIN_DIR SNAPSHOT.db OUT_DIR [CLIENT_PORT]
#   OUT_DIR/restored: what `snapshot restore` of that version writes for the first of three members
#   OUT_DIR/rolled: a server that took several raft snapshots, killed with SIGKILL
set -eu
bin=$1 snapshot=$2 out=$3 port=${4:-35890}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $("$bin/etcd" --version | head -1) in *" 3.4."*) export ETCDCTL_API=3 ;; esac

# Copies one member directory, each WAL cut where its zero tail begins, everything compressed.
keep() {
	mkdir -p "$2"
	for f in "$1"/wal/*.wal; do
		sed '$ s/\x00*$//' "$f" >"$work/cut"
		# A record may end in zeros that are part of it, hence a whole sector.
		truncate -s '%512' "$work/cut"
		zstd -q -19 -f "$work/cut" -o "$2/$(basename "$f").zst"
	done
	for f in "$1"/snap/*.snap; do
		if [ -e "$f" ]; then zstd -q -19 -f "$f" -o "$2/$(basename "$f").zst"; fi
	done
}

tool=$bin/etcdutl
[ -x "$tool" ] || tool=$bin/etcdctl
"$tool" snapshot restore "$snapshot" --data-dir "$work/restored" --name m1 \
	--initial-cluster m1=http://127.0.0.1:31001,m2=http://127.0.0.1:31003,m3=http://127.0.0.1:31005 \
	--initial-cluster-token tok-golden --initial-advertise-peer-urls http://127.0.0.1:31001 >/dev/null 2>&1
keep "$work/restored/member" "$out/restored"

"$bin/etcd" --name rolled --data-dir "$work/rolled" --snapshot-count 10 \
	--listen-client-urls "http://127.0.0.1:$port" --advertise-client-urls "http://127.0.0.1:$port" \
	--listen-peer-urls "http://127.0.0.1:$((port + 1))" \
	--initial-advertise-peer-urls "http://127.0.0.1:$((port + 1))" \
	--initial-cluster "rolled=http://127.0.0.1:$((port + 1))" >"$work/log" 2>&1 &
pid=$!
trap 'kill -9 $pid 2>/dev/null || true; rm -rf "$work"' EXIT
ctl() { "$bin/etcdctl" --endpoints "127.0.0.1:$port" "$@"; }
for _ in $(seq 100); do
	if ctl endpoint health >/dev/null 2>&1; then break; fi
	sleep 0.1
done
for i in $(seq 45); do ctl put "key/$((i % 7))" "value $i" >/dev/null; done
kill -9 $pid
{ wait $pid || true; } 2>/dev/null
keep "$work/rolled/member" "$out/rolled"
