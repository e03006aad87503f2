// The least a forwarding server must do, in C: recvmmsg, one AES-128-GCM open, and for every subscriber a header rewrite, one AES-128-GCM
// seal (OpenSSL EVP, contexts kept) and sendmmsg. No signalling, no RTCP, no retransmission, no offload. `ops/bench` prints our cost as a
// multiple of this one's at the same rate and sizes.
//
//   baseline SUBSCRIBERS BURSTS_PER_SECOND PACKETS_PER_BURST PAYLOAD_BYTES SECONDS
//
// Three processes on loopback: a publisher that paces bursts, the forwarder that is measured, and subscribers with a socket each that count
// what arrives and check a sample's tag. Prints one JSON object.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    RECEIVE_BATCH = 64,      // datagrams of one recvmmsg
    SEND_BATCH = 256,        // datagrams of one sendmmsg
    SLOT_BYTES = 1664,       // one datagram's buffer
    HEADER = 12,             // RTP fixed header
    TAG = 16,                // AES-GCM tag (RFC 7714 §5.3)
    SUBSCRIBERS_MAX = 1000,
    SAMPLE = 997,            // every so many received datagrams one tag is checked
    SOCKET_BUFFER = 4 << 20  // bytes
};

struct shared {  // between the processes
    volatile uint64_t received, bad_tags;
    volatile int stop;
};
static struct shared *shared;
static const unsigned char publisher_key[16] = "publisher's key";
static const unsigned char salt[12] = "salt of RTP";

static void die(const char *what) { perror(what); exit(1); }
static int64_t now_ns(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
static void subscriber_key(int i, unsigned char key[16]) { memset(key, 0x5A, 16); memcpy(key, &i, sizeof i); }

static int udp(uint16_t *port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = SOCKET_BUFFER;
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || getsockname(fd, (struct sockaddr *)&address, &length) != 0) die("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    *port = address.sin_port;
    return fd;
}

// RFC 7714 §8.1: the nonce is the salt exclusive-or'd with SSRC, rollover counter and sequence number.
static void nonce(unsigned char iv[12], const unsigned char *packet) {
    memcpy(iv, salt, 12);
    for (int i = 0; i < 4; i++) iv[2 + i] ^= packet[8 + i];
    for (int i = 0; i < 2; i++) iv[10 + i] ^= packet[2 + i];
}
static EVP_CIPHER_CTX *context(const unsigned char key[16], int seals) {
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    if (!c || EVP_CipherInit_ex(c, EVP_aes_128_gcm(), NULL, key, NULL, seals) != 1) die("EVP");
    return c;
}
// Seals `payload` behind the header that stands in `packet`.
static int seal(EVP_CIPHER_CTX *c, unsigned char *packet, const unsigned char *payload, int length) {
    unsigned char iv[12];
    int n;
    nonce(iv, packet);
    EVP_EncryptInit_ex(c, NULL, NULL, NULL, iv);
    EVP_EncryptUpdate(c, NULL, &n, packet, HEADER);
    EVP_EncryptUpdate(c, packet + HEADER, &n, payload, length);
    EVP_EncryptFinal_ex(c, packet + HEADER + length, &n);
    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, packet + HEADER + length);
    return HEADER + length + TAG;
}
// Opens in place; the payload's length, or −1.
static int open_packet(EVP_CIPHER_CTX *c, unsigned char *packet, int length) {
    unsigned char iv[12];
    int n, payload = length - HEADER - TAG;
    if (payload < 0) return -1;
    nonce(iv, packet);
    EVP_DecryptInit_ex(c, NULL, NULL, NULL, iv);
    EVP_DecryptUpdate(c, NULL, &n, packet, HEADER);
    EVP_DecryptUpdate(c, packet + HEADER, &n, packet + HEADER, payload);
    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, packet + HEADER + payload);
    return EVP_DecryptFinal_ex(c, packet + HEADER + payload, &n) == 1 ? payload : -1;
}

struct batch {
    struct mmsghdr messages[SEND_BATCH];
    struct iovec parts[SEND_BATCH];
    unsigned char (*bytes)[SLOT_BYTES];
};
static void prepare(struct batch *b, int count) {
    memset(b->messages, 0, sizeof b->messages);
    b->bytes = aligned_alloc(64, (size_t)count * SLOT_BYTES);
    if (!b->bytes) die("memory");
    memset(b->bytes, 0, (size_t)count * SLOT_BYTES);
    for (int i = 0; i < count; i++) {
        b->parts[i] = (struct iovec){ b->bytes[i], SLOT_BYTES };
        b->messages[i].msg_hdr.msg_iov = &b->parts[i];
        b->messages[i].msg_hdr.msg_iovlen = 1;
    }
}

// MARK: The three processes

static void publish(uint16_t port, double bursts, int packets, int payload, double seconds) {
    uint16_t own;
    int fd = udp(&own);
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    EVP_CIPHER_CTX *c = context(publisher_key, 1);
    unsigned char packet[SLOT_BYTES], plain[SLOT_BYTES] = { 0 };
    uint16_t sequence = 0;
    int64_t begin = now_ns(), period = (int64_t)(1e9 / bursts);
    for (int64_t burst = 0; burst < (int64_t)(seconds * bursts); burst++) {
        int64_t at = begin + burst * period;
        struct timespec t = { at / 1000000000, at % 1000000000 };
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
        for (int i = 0; i < packets; i++, sequence++) {
            memset(packet, 0, HEADER);
            packet[0] = 0x80; packet[1] = 96;
            packet[2] = sequence >> 8; packet[3] = sequence & 0xFF;
            int length = seal(c, packet, plain, payload);
            sendto(fd, packet, length, 0, (struct sockaddr *)&to, sizeof to);
        }
    }
}

static void subscribe(int *fds, int count) {
    static struct batch b;
    static EVP_CIPHER_CTX *contexts[SUBSCRIBERS_MAX];
    int epoll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        unsigned char key[16];
        struct epoll_event event = { .events = EPOLLIN, .data.u32 = (uint32_t)i };
        subscriber_key(i, key);
        contexts[i] = context(key, 0);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) != 0) die("epoll");
    }
    prepare(&b, RECEIVE_BATCH);
    for (;;) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, 50);
        for (int e = 0; e < ready; e++) {
            int i = (int)events[e].data.u32, n = recvmmsg(fds[i], b.messages, RECEIVE_BATCH, MSG_DONTWAIT, NULL);
            for (int k = 0; k < n; k++) {
                if (++shared->received % SAMPLE == 0 && open_packet(contexts[i], b.bytes[k], (int)b.messages[k].msg_len) < 0) shared->bad_tags++;
            }
        }
        if (ready == 0 && shared->stop) return;
    }
}

static volatile sig_atomic_t ended;
static void end(int signal) { (void)signal; ended = 1; }

static void send_all(int fd, struct batch *b, int count, uint64_t *sent) {
    for (int from = 0; from < count;) {
        int n = sendmmsg(fd, b->messages + from, (unsigned)(count - from), 0);
        if (n > 0) { from += n; *sent += (uint64_t)n; continue; }
        if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) die("sendmmsg");
        struct pollfd p = { fd, POLLOUT, 0 };
        poll(&p, 1, 10);
    }
}

// The measured loop: each batch is forwarded subscriber by subscriber.
static uint64_t forward(int fd, const uint16_t *ports, int count, uint64_t *received) {
    static struct batch in, out;
    static EVP_CIPHER_CTX *contexts[SUBSCRIBERS_MAX];
    static struct sockaddr_in to[SUBSCRIBERS_MAX];
    static uint32_t offsets[SUBSCRIBERS_MAX];
    EVP_CIPHER_CTX *publisher = context(publisher_key, 0);
    uint64_t sent = 0;
    for (int i = 0; i < count; i++) {
        unsigned char key[16];
        subscriber_key(i, key);
        contexts[i] = context(key, 1);
        to[i] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = ports[i], .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        offsets[i] = (uint32_t)i * 77;
    }
    prepare(&in, RECEIVE_BATCH);
    prepare(&out, SEND_BATCH);
    while (!ended) {
        struct pollfd p = { fd, POLLIN, 0 };
        if (poll(&p, 1, 200) <= 0) continue;
        int n = recvmmsg(fd, in.messages, RECEIVE_BATCH, MSG_DONTWAIT, NULL), filled = 0, payload[RECEIVE_BATCH];
        for (int k = 0; k < n; k++) payload[k] = open_packet(publisher, in.bytes[k], (int)in.messages[k].msg_len);
        if (n > 0) *received += (uint64_t)n;
        for (int i = 0; i < count; i++) {
            for (int k = 0; k < n; k++) {
                if (payload[k] < 0) continue;
                unsigned char *wire = out.bytes[filled];
                uint16_t sequence;
                uint32_t timestamp, ssrc = htonl(1000 + (uint32_t)i);
                memcpy(wire, in.bytes[k], HEADER);
                memcpy(&sequence, wire + 2, 2);
                memcpy(&timestamp, wire + 4, 4);
                sequence = htons((uint16_t)(ntohs(sequence) + offsets[i]));
                timestamp = htonl(ntohl(timestamp) + offsets[i]);
                memcpy(wire + 2, &sequence, 2);
                memcpy(wire + 4, &timestamp, 4);
                memcpy(wire + 8, &ssrc, 4);
                out.parts[filled].iov_len = (size_t)seal(contexts[i], wire, in.bytes[k] + HEADER, payload[k]);
                out.messages[filled].msg_hdr.msg_name = &to[i];
                out.messages[filled].msg_hdr.msg_namelen = sizeof to[i];
                if (++filled == SEND_BATCH) { send_all(fd, &out, filled, &sent); filled = 0; }
            }
        }
        if (filled > 0) send_all(fd, &out, filled, &sent);
    }
    return sent;
}

static double cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}
static pid_t child(void) {
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)) exit(1);
    return pid;
}

int main(int argc, char **argv) {
    int count = argc == 6 ? atoi(argv[1]) : 0, packets = argc == 6 ? atoi(argv[3]) : 0, payload = argc == 6 ? atoi(argv[4]) : 0;
    double bursts = argc == 6 ? atof(argv[2]) : 0, seconds = argc == 6 ? atof(argv[5]) : 0;
    if (count < 1 || count > SUBSCRIBERS_MAX || bursts <= 0 || packets < 1 || payload < 1 || payload > SLOT_BYTES - HEADER - TAG || seconds <= 0) {
        fprintf(stderr, "usage: baseline SUBSCRIBERS(1-%d) BURSTS_PER_SECOND PACKETS_PER_BURST PAYLOAD_BYTES SECONDS\n", SUBSCRIBERS_MAX);
        return 2;
    }
    struct rlimit files = { 4096, 4096 };
    setrlimit(RLIMIT_NOFILE, &files);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) die("mmap");
    static int fds[SUBSCRIBERS_MAX];
    static uint16_t ports[SUBSCRIBERS_MAX];
    uint16_t port;
    int fd = udp(&port);
    for (int i = 0; i < count; i++) fds[i] = udp(&ports[i]);

    pid_t subscribers = child();
    if (subscribers == 0) { subscribe(fds, count); exit(0); }
    for (int i = 0; i < count; i++) close(fds[i]);
    struct sigaction action = { .sa_handler = end };
    sigaction(SIGCHLD, &action, NULL);
    pid_t publisher = child();
    if (publisher == 0) { publish(port, bursts, packets, payload, seconds); usleep(100000); exit(0); }

    uint64_t received = 0;
    double before = cpu_seconds();
    uint64_t sent = forward(fd, ports, count, &received);
    double spent = cpu_seconds() - before;
    shared->stop = 1;
    while (waitpid(subscribers, NULL, 0) < 0 && errno == EINTR) {}
    waitpid(publisher, NULL, 0);
    uint64_t arrived = shared->received, expected = (uint64_t)(seconds * bursts) * (uint64_t)packets * (uint64_t)count;
    printf("{\"received\": %llu, \"expected\": %llu, \"sent\": %llu, \"loss\": %.6f, \"bad_tags\": %llu, \"cpu_seconds\": %.4f, \"cpu_seconds_per_million\": %.4f}\n",
        (unsigned long long)arrived, (unsigned long long)expected, (unsigned long long)sent, 1 - (double)arrived / (double)expected,
        (unsigned long long)shared->bad_tags, spent, arrived ? spent / (double)arrived * 1e6 : 0);
    return arrived == 0 || shared->bad_tags > 0;
}
