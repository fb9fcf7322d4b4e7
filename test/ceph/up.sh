#!/bin/bash
# up.sh DIR [PORT]: start a Ceph cluster of one monitor, one OSD and one RADOS gateway on the
# loopback interface, for tests that need a real S3 server. Must run as root on Debian or
# Ubuntu. Installs Ceph if it is missing.
#
# All state is in DIR, which must not exist. Without PORT, the gateway gets a free port. Prints
# the address of the gateway and the credentials, as lines for `source` or `env`. down.sh DIR
# stops the cluster.
set -euo pipefail

dir=$(realpath -m "${1:?usage: up.sh DIR [PORT]}")
access_key=rangefleet
secret_key=rangefleet-test-secret

say() { echo "ceph: $*" >&2; }

free_port() {
	local port
	for _ in $(seq 100); do
		port=$((20000 + RANDOM % 12000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
			echo "$port"
			return
		fi
	done
	say "found no free port"
	return 1
}

install() {
	for command in ceph ceph-mon ceph-osd radosgw radosgw-admin monmaptool ceph-authtool; do
		if ! command -v "$command" >/dev/null; then
			say "$command is missing; installing Ceph"
			export DEBIAN_FRONTEND=noninteractive
			apt-get update -qq >&2
			apt-get install -qq -y --no-install-recommends radosgw ceph-mon ceph-osd ceph-common >&2
			return
		fi
	done
}

configure() {
	mkdir -p "$dir"/{mon,osd,run,log,rgw}
	fsid=$(cat /proc/sys/kernel/random/uuid)
	# There is one daemon of each kind on one machine: no replicas, no authentication
	# between daemons, only the first messenger protocol, and no warning about a nearly
	# full disk. Without tcp_nodelay every small response of the gateway takes 40 ms more. The
	# grace decides for how long an OSD may read between two renewals of its leases: on a
	# machine that stood still for seconds a placement group was seen to wait for its lease
	# until the tests gave up.
	cat >"$dir/ceph.conf" <<-CONF
		[global]
		fsid = $fsid
		mon host = v1:127.0.0.1:$mon_port
		public addr = 127.0.0.1
		cluster addr = 127.0.0.1
		ms bind msgr2 = false
		auth cluster required = none
		auth service required = none
		auth client required = none
		osd pool default size = 1
		osd pool default min size = 1
		osd pool default pg num = 8
		osd pool default pg autoscale mode = off
		osd crush chooseleaf type = 0
		osd heartbeat grace = 3600
		mon max pg per osd = 1000
		mon allow pool size one = true
		mon warn on pool no redundancy = false
		mon data avail warn = 2
		mon data avail crit = 1
		run dir = $dir/run
		crash dir = $dir/crash
		keyring = $dir/keyring
		admin socket = $dir/run/\$name.asok
		pid file = $dir/run/\$name.pid
		log file = $dir/log/\$name.log
		[mon]
		mon data = $dir/mon/a
		[osd]
		osd data = $dir/osd/0
		osd objectstore = bluestore
		osd memory target = 1073741824
		osd class update on start = false
		osd crush update on start = false
		bluestore block create = true
		bluestore block size = 10737418240
		[client.rgw.a]
		rgw data = $dir/rgw
		rgw frontends = beast endpoint=127.0.0.1:$port tcp_nodelay=1
		rgw enable usage log = false
		rgw enable ops log = false
		# By the default order, an unknown user is denied access, as if it were a role.
		rgw s3 auth use sts = true
		rgw s3 auth order = external, local, sts
		rgw sts key = rangefleet-tests
	CONF
	for name in client.admin mon. client.rgw.a; do
		[ -e "$dir/keyring" ] || create=--create-keyring
		ceph-authtool ${create:-} "$dir/keyring" --gen-key -n "$name" \
			--cap mon 'allow *' --cap osd 'allow *' >>"$dir/log/setup.out"
		create=
	done
	monmaptool --create --fsid "$fsid" --addv a "[v1:127.0.0.1:$mon_port]" "$dir/monmap" >>"$dir/log/setup.out"
}

# daemon NAME COMMAND...: run a command in the background, with its process ID in DIR.
daemon() {
	local name=$1
	shift
	setsid nohup "$@" -c "$dir/ceph.conf" -f </dev/null >"$dir/log/$name.out" 2>&1 &
	echo $! >"$dir/$name.pid"
}

# await SECONDS COMMAND...: repeat the command until it succeeds.
await() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		if ((SECONDS >= end)); then
			say "gave up waiting for: $*"
			return 1
		fi
		sleep 0.3
	done
}

# A monitor may refuse any command for a while after its start (EPERM). So early commands are
# run by await; each of them may run twice.
cluster() { timeout 20 ceph -c "$dir/ceph.conf" "$@" 2>>"$dir/log/setup.out"; }
osd_up() { cluster osd stat | grep -q '1 up'; }
gateway_up() {
	exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && head -n 1 <&3 | grep -q ' 200 '
}

start() {
	ceph-mon -c "$dir/ceph.conf" --mkfs -i a --monmap "$dir/monmap" --keyring "$dir/keyring" >>"$dir/log/setup.out" 2>&1
	daemon mon ceph-mon -i a
	await 60 cluster mon stat
	local osd
	osd=$(cat /proc/sys/kernel/random/uuid)
	await 60 cluster osd new "$osd"
	mkdir -p "$dir/osd/0"
	ceph-osd -c "$dir/ceph.conf" -i 0 --mkfs --osd-uuid "$osd" >>"$dir/log/setup.out" 2>&1
	await 60 cluster osd crush add osd.0 1.0 root=default
	daemon osd ceph-osd -i 0
	await 60 osd_up
	daemon rgw radosgw -n client.rgw.a
	await 120 gateway_up
	timeout 60 radosgw-admin -c "$dir/ceph.conf" user create --uid=rangefleet --display-name=Rangefleet \
		--access-key="$access_key" --secret-key="$secret_key" --caps="roles=*" >>"$dir/log/setup.out" 2>&1
}

failed() {
	say "could not start; the last lines of its logs:"
	tail -n 5 "$dir"/log/*.out >&2 || true
	"$(dirname "$0")/down.sh" "$dir"
	exit 1
}

if [ -e "$dir" ]; then
	say "$dir exists already"
	exit 1
fi
install
port=${2:-$(free_port)}
mon_port=$(free_port)
trap failed ERR
set -E
configure
start
# Names must not start with RANGEFLEET_: the programs refuse unknown settings.
cat <<-OUT
	TEST_S3_ENDPOINT=http://127.0.0.1:$port
	TEST_S3_ACCESS_KEY_ID=$access_key
	TEST_S3_SECRET_ACCESS_KEY=$secret_key
OUT
