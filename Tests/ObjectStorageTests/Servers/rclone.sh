# The quick S3 server: `rclone serve s3` over a folder, whose sub-folders are the buckets. Read by words.sh.
data=$dir/data

# What `fill` starts it on: a file system of 24 MiB that only the server sees.
launch='mount -t tmpfs -o size=24m tmpfs "$2" && mkdir "$2/recordings" && exec "$1" serve s3 --addr "127.0.0.1:$3" --auth-key "$4,$5" "$2"'

prepare() { mkdir -p "$data/recordings"; }
start() {
    RCLONE_CONFIG=/dev/null "$venv/bin/rclone" serve s3 --addr "127.0.0.1:$port" --auth-key "$access,$secret" "$data" >"$dir/log" 2>&1 </dev/null &
    pids=$!
    answers
}
# With a certificate of an authority nobody else trusts: $dir/cert.pem.
tls() {
    shut
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
        -keyout "$dir/key.pem" -out "$dir/cert.pem" >"$dir/log" 2>&1 || return 1
    RCLONE_CONFIG=/dev/null "$venv/bin/rclone" serve s3 --addr "127.0.0.1:$port" --cert "$dir/cert.pem" --key "$dir/key.pem" --auth-key "$access,$secret" "$data" \
        >"$dir/log" 2>&1 </dev/null &
    pids=$! scheme=https
    answers
}
small() {
    shut
    local spaces=--mount
    [ "$(id -u)" = 0 ] || spaces="--mount --map-root-user"
    RCLONE_CONFIG=/dev/null unshare $spaces sh -c "$launch" sh "$venv/bin/rclone" "$data" "$port" "$access" "$secret" >"$dir/log" 2>&1 </dev/null &
    pids=$!
    answers
}
