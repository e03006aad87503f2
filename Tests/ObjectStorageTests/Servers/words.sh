# Runs an S3 server for a test: words.sh KIND DIR PORT VENV ACCESS SECRET. Obeys words on its input and says each when it is done; the
# end of the input, which the end of the test's process brings, ends the server too.
here=$(dirname "$0") kind=$1 dir=$2 port=$3 venv=$4 access=$5 secret=$6 pids= scheme=http

answers() {
    for _ in $(seq 150); do
        curl -sk -o "$dir/answer" "$scheme://127.0.0.1:$port/" && return 0
        sleep 0.1
    done
    return 1
}
shut() {
    [ -z "$pids" ] || { kill -CONT $pids; kill -9 $pids; wait $pids; } 2>/dev/null
    pids=
}
. "$here/$kind.sh"
prepare && start && echo ready || echo failed
while read -r word; do
    case $word in
        kill) shut ;;
        start) start || word=failed ;;
        small) small || word=failed ;;
        tls) tls || word=failed ;;
        freeze) kill -STOP $pids ;;
        thaw) kill -CONT $pids ;;
    esac
    echo "$word"
done
shut
rm -rf "$dir"
