# The strict S3 server: OpenStack Swift on one device with its S3 layer, and the memcached it keeps sessions in. Read by words.sh.
# https://docs.openstack.org/swift/latest/development_saio.html
prepare() {
    local ring number=1
    mkdir -p "$dir/devices/d1" "$dir/conf"
    cd "$dir/conf" || return 1
    printf '%s\n' '[swift-hash]' 'swift_hash_path_prefix = a' 'swift_hash_path_suffix = b' '[storage-policy:0]' 'name = p0' 'default = yes' \
        '[swift-constraints]' > swift.conf
    for ring in account container object; do
        "$venv/bin/swift-ring-builder" $ring.builder create 6 1 1 && "$venv/bin/swift-ring-builder" $ring.builder add "r1z1-127.0.0.1:$((port + number))/d1" 1 \
            && "$venv/bin/swift-ring-builder" $ring.builder rebalance || return 1
        printf '%s\n' '[DEFAULT]' 'bind_ip = 127.0.0.1' "bind_port = $((port + number))" "user = $(id -un)" "swift_dir = $dir/conf" "devices = $dir/devices" \
            'mount_check = false' 'workers = 0' 'disable_fallocate = true' "log_address = $dir/none" \
            '[pipeline:main]' "pipeline = $ring-server" "[app:$ring-server]" "use = egg:swift#$ring" 'replication_server = true' > $ring.conf
        number=$((number + 1))
    done >"$dir/prepare.log" 2>&1
    printf '%s\n' '[DEFAULT]' 'bind_ip = 127.0.0.1' "bind_port = $port" "user = $(id -un)" "swift_dir = $dir/conf" 'workers = 0' "log_address = $dir/none" \
        '[pipeline:main]' 'pipeline = catch_errors cache s3api tempauth copy slo symlink versioned_writes proxy-server' \
        '[app:proxy-server]' 'use = egg:swift#proxy' 'account_autocreate = true' 'allow_account_management = true' \
        '[filter:catch_errors]' 'use = egg:swift#catch_errors' '[filter:cache]' 'use = egg:swift#memcache' "memcache_servers = 127.0.0.1:$((port + 4))" \
        '[filter:s3api]' 'use = egg:swift#s3api' 'location = us-east-1' 's3_acl = false' '[filter:tempauth]' 'use = egg:swift#tempauth' \
        "user_$(echo "$access" | tr : _) = $secret .admin" '[filter:copy]' 'use = egg:swift#copy' '[filter:slo]' 'use = egg:swift#slo' \
        '[filter:symlink]' 'use = egg:swift#symlink' '[filter:versioned_writes]' 'use = egg:swift#versioned_writes' 'allow_object_versioning = true' > proxy.conf
}
start() {
    local server
    export SWIFT_DIR=$dir/conf
    memcached -u "$(id -un)" -l 127.0.0.1 -p $((port + 4)) -U 0 -m 16 >"$dir/memcached.log" 2>&1 </dev/null &
    pids=$!
    for server in account container object proxy; do
        "$venv/bin/swift-$server-server" "$dir/conf/$server.conf" >"$dir/$server.log" 2>&1 </dev/null &
        pids="$pids $!"
    done
    answers
}
