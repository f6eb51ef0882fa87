#!/bin/bash
# Runs inside the container, as root, after boot. Writes TAP to /test/tap and details to /test/log.
exec >/test/log 2>&1
set -x
number=0

# expect WHAT COMMAND...: a case that passes when the command succeeds
expect() {
    local what=$1
    shift
    number=$((number + 1))
    if "$@"; then echo "ok $number - $what" >>/test/tap; else echo "not ok $number - $what" >>/test/tap; fi
}

# until_true COMMAND...: asks until it succeeds, at most 15 s
until_true() {
    local end=$((SECONDS + 15)) status=0
    { set +x; } 2>/dev/null
    until "$@" 2>/dev/null; do
        [ $SECONDS -lt $end ] || { status=1; break; }
        read -rt 0.05 <> <(:) || :
    done
    set -x
    return $status
}

refuses() { ! "$@"; }
said() { journalctl -b -u rtcd -o json --no-pager | grep -q "$1"; }
was_logged() { journalctl -b -u rtcd --no-pager | grep -q "$1"; }
subscribe() { curl -sN "http://127.0.0.1:8000/rtc/sse?group=$1" >"/test/$1" & }
received() { grep -q "$2" "/test/$1"; }
main_pid() { systemctl show -P MainPID rtcd; }
has_restarted() { [ "$(main_pid)" != "$1" ] && [ "$(main_pid)" != 0 ] && systemctl -q is-active rtcd; }

useradd member
useradd stranger
usermod -aG rtcd-admin member
sed -i 's/anonymous: false.*/anonymous: true/' /etc/rtcd/rtcd.yaml
mkdir -p /etc/systemd/system/rtcd.service.d
# Refused system calls kill here, so that a missing one shows; and the watchdog need not be waited for.
printf '[Service]\nSystemCallErrorNumber=\nWatchdogSec=2\n' >/etc/systemd/system/rtcd.service.d/test.conf
systemctl daemon-reload

expect "the installed config is right" rtcd --check
expect "systemctl start rtcd" systemctl start rtcd
expect "it is active as soon as start returns" systemctl -q is-active rtcd
subscribe news
expect "a client connects" until_true received news rtc.welcome
expect "rtcctl list connections as root" grep -q sse <(rtcctl list connections)
expect "rtcctl as a member of the admin group" grep -q sse <(setpriv --reuid member --regid member --init-groups rtcctl list connections)
expect "rtcctl is refused to anyone else" refuses setpriv --reuid stranger --regid stranger --init-groups rtcctl list connections
setpriv --reuid stranger --regid stranger --init-groups rtcctl ping
expect "with the exit status for no permission" [ $? = 77 ]
expect "a member of the admin group is an admin" grep -q 'level.admin' <(setpriv --reuid member --regid member --init-groups rtcctl whoami)
expect "a revocation is kept" grep -q 'saved.true' <(rtcctl revoke user eve)
expect "in a file of the daemon's alone" [ "$(stat -c %U%a /var/lib/rtcd/revocations)" = rtcd600 ]
cat >/test/publish.sh <<'SCRIPT'
#!/bin/sh
rtcctl publish --group news headline '{"title":"from a script"}'
SCRIPT
expect "publish from a shell script" sh /test/publish.sh
expect "and the client receives it" until_true received news "from a script"

printf 'resume:\n  window: 77s\n' >>/etc/rtcd/rtcd.yaml
expect "systemctl reload" systemctl reload rtcd
expect "takes up the new config" [ "$(rtcctl show config resume.window --columns value)" = 77s ]
echo "nonsense: true" >>/etc/rtcd/rtcd.yaml
expect "a reload with a mistake fails" refuses systemctl reload rtcd
expect "and leaves the daemon as it was" grep -q 77s <(rtcctl show config resume.window)
sed -i '/nonsense/d' /etc/rtcd/rtcd.yaml
expect "the mistake is in the journal with its area" until_true said '"RTCD_AREA":"config"'

sed -i '$a log:\n  core: info' /etc/rtcd/rtcd.yaml
systemctl reload rtcd
subscribe gone
until_true received gone rtc.welcome
id=$(rtcctl list connections --group gone --columns id)
rtcctl disconnect "$id" --reason testing
expect "the journal has a connection's fields" until_true said "\"RTCD_CONNECTION\":\"$id\""
expect "and the reason of its end" said '"RTCD_REASON":"disconnected"'

echo 'deny user mallory' >/etc/rtcd/guard.list
printf 'plugins: ["%s /etc/rtcd/guard.list"]\n' /usr/lib/*/rtcd/plugins/guard.so >>/etc/rtcd/rtcd.yaml
printf 'history: {store: disk}\ngroups: [{match: kept, history-envelopes: 9}]\n' >>/etc/rtcd/rtcd.yaml
expect "a restart loads a plug-in" systemctl restart rtcd
expect "as the unit lets it" grep -q 'guard 1.0' <(rtcctl status)
expect "what a group remembers is put on disk" rtcctl publish --group kept state '"it stays"'
expect "in a folder of the daemon's alone" [ "$(stat -c %U%a /var/lib/rtcd/history)" = rtcd700 ]

pid=$(main_pid)
/test/stall "$pid" "worker 00" >/test/stalled &
stall=$!
until_true grep -q stalled /test/stalled
expect "a stopped worker loop is noticed and the daemon restarted" until_true has_restarted "$pid"
expect "by the watchdog" until_true was_logged Watchdog
expect "what was revoked before still is" grep -q 'user.eve' <(rtcctl list revocations)
expect "and so is what was published" grep -q 'it stays' <(rtcctl history kept)
kill $stall 2>/dev/null

pid=$(main_pid)
kill -STOP "$pid"
expect "a daemon that stands still is restarted too" until_true has_restarted "$pid"
expect "no core file is left of it, which would hold secrets" [ "$(systemctl show -P LimitCORE rtcd)" = 0 ]

subscribe farewell
until_true received farewell rtc.welcome
expect "systemctl stop" systemctl stop rtcd
expect "ends clients with a reason" until_true received farewell '"rtc.close","data":{"reason":"shutdown","reconnect":true}'
expect "and a clean exit" [ "$(systemctl show -P Result rtcd)" = success ]
expect "and takes its socket away" refuses test -e /run/rtcd/admin.sock

systemctl start rtcd.socket rtcd-admin.socket
expect "with its sockets held by systemd the daemon is not running" refuses systemctl -q is-active rtcd
subscribe activated
expect "the first connection starts it" until_true received activated rtc.welcome
expect "and the admin socket answers" rtcctl ping
expect "to members too" setpriv --reuid member --regid member --init-groups rtcctl ping
expect "a restart refuses nobody" bash -c '
    systemctl --no-block restart rtcd
    for i in $(seq 200); do curl -sf -X POST http://127.0.0.1:8000/rtc/negotiate >/dev/null || exit 1; done'
until_true systemctl -q is-active rtcd
systemctl stop rtcd.socket rtcd-admin.socket rtcd

expect "no system call was refused" refuses grep -q SIGSYS <(journalctl -b --no-pager)
expect "the unit's exposure is at most 1.2" bash -c '
    systemd-analyze security rtcd.service --no-pager --threshold=12 >/dev/null'
journalctl -b -u rtcd --no-pager
echo "1..$number" >>/test/tap
