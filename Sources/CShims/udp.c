// Batched UDP: recvmmsg with kernel timestamps, sendmmsg with UDP_SEGMENT runs.
#define _GNU_SOURCE
#include "udp.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <endian.h>
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

enum {
    RUN_MIN = 4,          // shorter runs go cheaper one by one (measured)
    RUN_MAX = 64,         // segments the kernel takes in one message
    RUN_BYTES = 65000     // below the largest UDP payload
};

static int is_mapped(shim_address a) { return a.high == 0 && (a.low >> 32) == 0xFFFF; }

void shim_endpoint_set(shim_endpoint *endpoint, shim_address a, int ipv6) {
    memset(endpoint, 0, sizeof *endpoint);
    if (!ipv6) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a.port) };
        in.sin_addr.s_addr = htonl((uint32_t)a.low);
        memcpy(endpoint->bytes, &in, sizeof in);
        endpoint->length = sizeof in;
        return;
    }
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(a.port) };
    uint64_t high = htobe64(a.high), low = htobe64(a.low);
    memcpy(&in6.sin6_addr, &high, 8);
    memcpy((char *)&in6.sin6_addr + 8, &low, 8);
    memcpy(endpoint->bytes, &in6, sizeof in6);
    endpoint->length = sizeof in6;
}

static void read_address(const struct sockaddr_storage *s, shim_address *a) {
    if (s->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)s;
        a->high = 0;
        a->low = 0x0000FFFF00000000ull | ntohl(in->sin_addr.s_addr);
        a->port = ntohs(in->sin_port);
    } else {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;
        uint64_t high, low;
        memcpy(&high, &in6->sin6_addr, 8);
        memcpy(&low, (const char *)&in6->sin6_addr + 8, 8);
        a->high = be64toh(high);
        a->low = be64toh(low);
        a->port = ntohs(in6->sin6_port);
    }
}

static void size_buffer(int fd, int force, int plain, int bytes) {
    if (setsockopt(fd, SOL_SOCKET, force, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, plain, &bytes, sizeof bytes);
}

int shim_udp_open(shim_address address, int receive_buffer, int send_buffer) {
    int ipv6 = !is_mapped(address), on = 1;
    int fd = socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    size_buffer(fd, SO_RCVBUFFORCE, SO_RCVBUF, receive_buffer);
    size_buffer(fd, SO_SNDBUFFORCE, SO_SNDBUF, send_buffer);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    shim_endpoint endpoint;
    shim_endpoint_set(&endpoint, address, ipv6);
    if (bind(fd, (struct sockaddr *)endpoint.bytes, endpoint.length) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

shim_address shim_endpoint_address(const shim_endpoint *endpoint) {
    shim_address address = { 0 };
    struct sockaddr_storage storage = { 0 };
    if (endpoint->length == 0) return address;
    memcpy(&storage, endpoint->bytes, endpoint->length);
    read_address(&storage, &address);
    return address;
}

int shim_udp_local(int fd, shim_address *address) {
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) != 0) return -errno;
    read_address(&storage, address);
    return 0;
}

int shim_udp_receive_buffer(int fd) {
    int bytes = 0;
    socklen_t length = sizeof bytes;
    return getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, &length) == 0 ? bytes : -errno;
}

// Receiving

enum { CONTROL = CMSG_SPACE(sizeof(struct timespec)) + CMSG_SPACE(sizeof(uint32_t)) };

struct shim_receiver {
    uint32_t capacity, buffer_bytes, overflow;
    struct mmsghdr *messages;
    struct iovec *vectors;
    struct sockaddr_storage *sources;
    char *control;
    char *buffers;
    shim_datagram *datagrams;
};

shim_receiver *shim_receiver_new(uint32_t capacity, uint32_t buffer_bytes) {
    shim_receiver *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->capacity = capacity;
    r->buffer_bytes = buffer_bytes;
    r->messages = calloc(capacity, sizeof *r->messages);
    r->vectors = calloc(capacity, sizeof *r->vectors);
    r->sources = calloc(capacity, sizeof *r->sources);
    r->control = calloc(capacity, CONTROL);
    r->buffers = aligned_alloc(64, (size_t)capacity * buffer_bytes);
    r->datagrams = calloc(capacity, sizeof *r->datagrams);
    if (!r->messages || !r->vectors || !r->sources || !r->control || !r->buffers || !r->datagrams) {
        shim_receiver_free(r);
        return NULL;
    }
    for (uint32_t i = 0; i < capacity; i++) {
        r->vectors[i].iov_base = r->buffers + (size_t)i * buffer_bytes;
        r->vectors[i].iov_len = buffer_bytes;
        r->messages[i].msg_hdr.msg_iov = &r->vectors[i];
        r->messages[i].msg_hdr.msg_iovlen = 1;
        r->messages[i].msg_hdr.msg_name = &r->sources[i];
        r->messages[i].msg_hdr.msg_control = r->control + (size_t)i * CONTROL;
    }
    return r;
}

void shim_receiver_free(shim_receiver *r) {
    free(r->messages);
    free(r->vectors);
    free(r->sources);
    free(r->control);
    free(r->buffers);
    free(r->datagrams);
    free(r);
}

shim_datagram *shim_receiver_datagrams(shim_receiver *r) { return r->datagrams; }
uint32_t shim_receiver_overflow(const shim_receiver *r) { return r->overflow; }

static void read_control(shim_receiver *r, struct msghdr *header, shim_datagram *d) {
    d->received_at = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET) continue;
        if (c->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            d->received_at = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
        } else if (c->cmsg_type == SO_RXQ_OVFL) {
            memcpy(&r->overflow, CMSG_DATA(c), sizeof r->overflow);
        }
    }
    if (d->received_at == 0) {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        d->received_at = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
    }
}

int shim_receive(shim_receiver *r, int fd) {
    for (uint32_t i = 0; i < r->capacity; i++) {
        r->messages[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_storage);
        r->messages[i].msg_hdr.msg_controllen = CONTROL;
        r->messages[i].msg_hdr.msg_flags = 0;
    }
    int count = recvmmsg(fd, r->messages, r->capacity, MSG_DONTWAIT, NULL);
    if (count < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        shim_datagram *d = &r->datagrams[i];
        d->data = r->vectors[i].iov_base;
        d->length = r->messages[i].msg_len;
        d->truncated = (r->messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
        read_address(&r->sources[i], &d->source);
        read_control(r, &r->messages[i].msg_hdr, d);
    }
    return count;
}

void shim_receiver_put(shim_receiver *r, uint32_t place, const void *data, uint32_t length, int64_t received_at, shim_address source) {
    shim_datagram *d = &r->datagrams[place];
    d->data = r->vectors[place].iov_base;
    d->truncated = length > r->buffer_bytes;
    d->length = d->truncated ? r->buffer_bytes : length;
    memcpy(d->data, data, d->length);
    d->received_at = received_at;
    d->source = source;
}
uint32_t shim_receiver_capacity(const shim_receiver *r) { return r->capacity; }

// Sending

enum { SEGMENT_CONTROL = CMSG_SPACE(sizeof(uint16_t)) };

struct shim_sender {
    uint32_t capacity;
    int segmentation;         // 0 once the kernel or the device has refused it
    struct mmsghdr *messages;
    struct iovec *vectors;
    char *control;            // SEGMENT_CONTROL bytes for each message
    uint32_t *counts;         // datagrams in each message
};

shim_sender *shim_sender_new(uint32_t capacity) {
    shim_sender *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->capacity = capacity;
    s->segmentation = 1;
    s->messages = calloc(capacity, sizeof *s->messages);
    s->vectors = calloc(capacity, sizeof *s->vectors);
    s->control = calloc(capacity, SEGMENT_CONTROL);
    s->counts = calloc(capacity, sizeof *s->counts);
    if (!s->messages || !s->vectors || !s->control || !s->counts) {
        shim_sender_free(s);
        return NULL;
    }
    return s;
}

void shim_sender_free(shim_sender *s) {
    free(s->messages);
    free(s->vectors);
    free(s->control);
    free(s->counts);
    free(s);
}

/// How many of the items from the first one go as one run: same socket, endpoint and length, the last may be shorter.
static uint32_t run_length(const shim_outgoing *items, uint32_t count) {
    uint32_t length = items[0].length, bytes = length, n = 1;
    if (length == 0) return 1;
    while (n < count && n < RUN_MAX && items[n].to == items[0].to && items[n].fd == items[0].fd && items[n].length <= length && items[n].length > 0
           && bytes + items[n].length <= RUN_BYTES) {
        bytes += items[n].length;
        n++;
        if (items[n - 1].length < length) break;
    }
    return n;
}

static void set_message(shim_sender *s, uint32_t m, uint32_t v, uint32_t n, const shim_outgoing *first) {
    struct msghdr *h = &s->messages[m].msg_hdr;
    h->msg_name = (void *)first->to->bytes;
    h->msg_namelen = first->to->length;
    h->msg_iov = &s->vectors[v];
    h->msg_iovlen = n;
    h->msg_control = NULL;
    h->msg_controllen = 0;
    h->msg_flags = 0;
    s->counts[m] = n;
    if (n == 1) return;
    h->msg_control = s->control + (size_t)m * SEGMENT_CONTROL;
    h->msg_controllen = SEGMENT_CONTROL;
    struct cmsghdr *c = CMSG_FIRSTHDR(h);
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
    uint16_t size = (uint16_t)first->length;
    memcpy(CMSG_DATA(c), &size, sizeof size);
}

static int is_segmentation_refusal(int error) { return error == EIO || error == EINVAL || error == EMSGSIZE || error == EOPNOTSUPP; }

/// The items of one run one by one, after the kernel refused them together.
static void send_singly(const shim_outgoing *items, uint32_t n, shim_send_report *report) {
    for (uint32_t i = 0; i < n; i++) {
        int status = shim_send_one(items[i].fd, items[i].data, items[i].length, items[i].to);
        report->calls++;
        if (status == 0) report->sent++;
        else if (status == -EAGAIN || status == -ENOBUFS) report->full++;
        else { report->refused++; report->last_error = -status; }
    }
}

/// Sends `messages` prepared messages made of `items`, all of one socket; goes on after one that failed.
static void send_messages(shim_sender *s, const shim_outgoing *items, uint32_t messages, shim_send_report *report) {
    uint32_t done = 0, at = 0;
    while (done < messages) {
        int sent = sendmmsg(items[0].fd, s->messages + done, messages - done, MSG_DONTWAIT);
        report->calls++;
        for (int i = 0; i < sent; i++, done++) {
            uint32_t n = s->counts[done];
            report->sent += n;
            if (n > 1) { report->segmented += n; report->runs++; }
            at += n;
        }
        if (sent >= 0) continue;
        int error = errno;
        if (error == EINTR) continue;
        uint32_t n = s->counts[done];
        if (n > 1 && is_segmentation_refusal(error)) {
            if (error != EMSGSIZE) s->segmentation = 0;
            send_singly(items + at, n, report);
        } else if (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS) {
            report->full += n;
        } else {
            report->refused += n;
            report->last_error = error;
        }
        at += n;
        done++;
    }
}

void shim_send(shim_sender *s, const shim_outgoing *items, uint32_t count, shim_send_report *report) {
    if (count > s->capacity) count = s->capacity;
    uint32_t start = 0;
    while (start < count) {
        uint32_t at = start, messages = 0;
        while (at < count && items[at].fd == items[start].fd) {
            uint32_t n = s->segmentation ? run_length(items + at, count - at) : 1;
            uint32_t step = n >= RUN_MIN ? n : 1;
            uint32_t end = at + n;
            while (at < end) {
                for (uint32_t i = 0; i < step; i++) {
                    s->vectors[at + i].iov_base = (void *)items[at + i].data;
                    s->vectors[at + i].iov_len = items[at + i].length;
                }
                set_message(s, messages++, at, step, &items[at]);
                at += step;
            }
        }
        send_messages(s, items + start, messages, report);
        start = at;
    }
}

int shim_send_one(int fd, const void *data, uint32_t length, const shim_endpoint *to) {
    for (;;) {
        if (sendto(fd, data, length, MSG_DONTWAIT, (const struct sockaddr *)to->bytes, to->length) >= 0) return 0;
        if (errno != EINTR) return -errno;
    }
}
