// Robots that send nothing but zeros: gRPC-shaped requests over HTTP/2, closed loop or at a rate, and what came of them.
//
//   load PORT TLS(0|1) CONNECTIONS STREAMS BODY_BYTES SECONDS RATE(0: closed loop) POISSON(0|1)
//
// Prints one JSON object: requests, errors, refused (REFUSED_STREAM: the robot would have to upload again), seconds,
// and latencies in microseconds. Each stream slot is a robot of its own (groot-robot).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

struct slot {
    struct connection *connection;
    char robot[32];
    int64_t started;
    size_t left;
    int busy, ok;
};

struct connection {
    nghttp2_session *session;
    SSL *ssl;
    int fd, number, lost;
    struct slot *slots;
};

static int port, tls, connections, streams, poisson, epoll;
static size_t body_bytes;
static double seconds, rate;
static int64_t end;
static SSL_CTX *context;
static struct connection *all;
static long requests, errors, refused, lost;
static double *latencies;
static size_t capacity;
static nghttp2_session_callbacks *callbacks;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static ssize_t send_bytes(nghttp2_session *session, const uint8_t *bytes, size_t length, int flags, void *user) {
    struct connection *c = user;
    ssize_t sent = c->ssl ? SSL_write(c->ssl, bytes, (int)length) : send(c->fd, bytes, length, MSG_NOSIGNAL);
    if (sent > 0) return sent;
    int again = c->ssl ? SSL_get_error(c->ssl, (int)sent) == SSL_ERROR_WANT_WRITE : errno == EAGAIN;
    return again ? NGHTTP2_ERR_WOULDBLOCK : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static ssize_t receive_bytes(nghttp2_session *session, uint8_t *bytes, size_t length, int flags, void *user) {
    struct connection *c = user;
    ssize_t got = c->ssl ? SSL_read(c->ssl, bytes, (int)length) : recv(c->fd, bytes, length, 0);
    if (got > 0) return got;
    int again = c->ssl ? SSL_get_error(c->ssl, (int)got) == SSL_ERROR_WANT_READ : got < 0 && errno == EAGAIN;
    return again ? NGHTTP2_ERR_WOULDBLOCK : NGHTTP2_ERR_EOF;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *user) {
    struct slot *slot = source->ptr;
    size_t count = slot->left < length ? slot->left : length;
    memset(to, 0, count);
    // One message in gRPC's frame: a flag and the length.
    if (slot->left == body_bytes && count >= 5)
        for (int i = 0; i < 4; i++) to[1 + i] = (uint8_t)((body_bytes - 5) >> (24 - 8 * i));
    slot->left -= count;
    if (slot->left == 0) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)count;
}

static nghttp2_nv field(const char *key, const char *value) {
    nghttp2_nv nv = {(uint8_t *)key, (uint8_t *)value, strlen(key), strlen(value), 0};
    return nv;
}

static void ask(struct slot *slot, int64_t at) {
    slot->started = at;
    slot->left = body_bytes;
    slot->busy = 1;
    slot->ok = 0;
    nghttp2_nv fields[] = {
        field(":method", "POST"), field(":scheme", tls ? "https" : "http"),
        field(":path", "/groot.v1.Inference/Infer"), field(":authority", "127.0.0.1"),
        field("content-type", "application/grpc"), field("te", "trailers"), field("grpc-timeout", "10S"),
        field("user-agent", "groot-load"), field("groot-robot", slot->robot), field("groot-runway-ms", "1500"),
    };
    nghttp2_data_provider provider = {{.ptr = slot}, read_body};
    if (nghttp2_submit_request(slot->connection->session, NULL, fields, sizeof fields / sizeof *fields, &provider,
                               slot) < 0) {
        errors++;
        slot->busy = 0;
    }
}

static int header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *key, size_t key_length,
                  const uint8_t *value, size_t length, uint8_t flags, void *user) {
    struct slot *slot = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (slot && key_length == 11 && memcmp(key, "grpc-status", 11) == 0) slot->ok = length == 1 && *value == '0';
    return 0;
}

static int stream_closed(nghttp2_session *session, int32_t stream, uint32_t code, void *user) {
    struct slot *slot = nghttp2_session_get_stream_user_data(session, stream);
    if (!slot || !slot->busy) return 0;
    int64_t now = now_ns();
    slot->busy = 0;
    if (code == NGHTTP2_REFUSED_STREAM) refused++;
    else if (!slot->ok) errors++;
    else {
        if ((size_t)requests == capacity) {
            capacity = capacity ? capacity * 2 : 1 << 16;
            latencies = realloc(latencies, capacity * sizeof *latencies);
        }
        latencies[requests++] = (now - slot->started) / 1e3;
    }
    if (rate == 0 && now < end) ask(slot, now);
    return 0;
}

static int open_connection(struct connection *c) {
    int yes = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) return -1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (tls) {
        c->ssl = SSL_new(context);
        SSL_set_fd(c->ssl, c->fd);
        if (SSL_connect(c->ssl) != 1) return -1;
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    nghttp2_session_client_new(&c->session, callbacks, c);
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20}};
    nghttp2_submit_settings(c->session, 0, settings, 1);
    nghttp2_session_set_local_window_size(c->session, 0, 0, 16 << 20);
    c->lost = 0;
    epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = c}});
    return 0;
}

static void drive(struct connection *c) {
    if (c->lost) return;
    int broken = nghttp2_session_recv(c->session) != 0 || nghttp2_session_send(c->session) != 0;
    if (!broken && (nghttp2_session_want_read(c->session) || nghttp2_session_want_write(c->session))) return;
    // The proxy closed it (or drains it): what was in flight is lost, and the robots come back.
    c->lost = 1;
    lost++;
    for (int i = 0; i < streams; i++)
        if (c->slots[i].busy) errors++, c->slots[i].busy = 0;
    nghttp2_session_del(c->session);
    if (c->ssl) SSL_free(c->ssl), c->ssl = NULL;
    close(c->fd);
    if (now_ns() < end && open_connection(c) == 0) {
        if (rate == 0) for (int i = 0; i < streams; i++) ask(&c->slots[i], now_ns());
        nghttp2_session_send(c->session);
    }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double q) { return requests ? latencies[(long)(q * (requests - 1))] : 0; }

int main(int count, char **arguments) {
    if (count != 9) return fprintf(stderr, "load PORT TLS CONNECTIONS STREAMS BODY SECONDS RATE POISSON\n"), 64;
    port = atoi(arguments[1]);
    tls = atoi(arguments[2]);
    connections = atoi(arguments[3]);
    streams = atoi(arguments[4]);
    body_bytes = atol(arguments[5]);
    seconds = atof(arguments[6]);
    rate = atof(arguments[7]);
    poisson = atoi(arguments[8]);
    srand48(1);
    if (tls) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_alpn_protos(context, (const uint8_t *)"\x02h2", 3);
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_send_callback(callbacks, send_bytes);
    nghttp2_session_callbacks_set_recv_callback(callbacks, receive_bytes);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
    epoll = epoll_create1(0);
    all = calloc(connections, sizeof *all);
    int64_t begin = now_ns();
    end = begin + (int64_t)(seconds * 1e9);
    for (int i = 0; i < connections; i++) {
        all[i].number = i;
        all[i].slots = calloc(streams, sizeof *all[i].slots);
        if (open_connection(&all[i])) return fprintf(stderr, "load: cannot connect to %d\n", port), 1;
        for (int s = 0; s < streams; s++) {
            all[i].slots[s].connection = &all[i];
            snprintf(all[i].slots[s].robot, sizeof all[i].slots[s].robot, "r%d-%d", i, s);
            if (rate == 0) ask(&all[i].slots[s], begin);
        }
        drive(&all[i]);
    }
    int64_t next = begin + (int64_t)(rate > 0 ? 1e9 / rate : 0);
    long sent = 0, busy = 1;
    int64_t grace = end + 5000000000LL;
    while (now_ns() < end || (busy && now_ns() < grace)) {
        int64_t now = now_ns();
        while (rate > 0 && next <= now && next < end) {
            int placed = 0;
            for (int tried = 0; tried < connections * streams && !placed; tried++) {
                long k = sent++;
                struct slot *slot = &all[k % connections].slots[(k / connections) % streams];
                if (slot->busy || slot->connection->lost) continue;
                ask(slot, next);
                drive(slot->connection);
                placed = 1;
            }
            if (!placed) errors++;
            next += (int64_t)(1e9 / rate * (poisson ? -log(1 - drand48()) : 1));
        }
        int64_t wait_ns = rate > 0 && next < end ? next - now_ns() : 10000000;
        if (wait_ns < 0) wait_ns = 0;
        struct timespec wait = {wait_ns / 1000000000, wait_ns % 1000000000};
        struct epoll_event events[64];
        int ready = epoll_pwait2(epoll, events, 64, &wait, NULL);
        for (int i = 0; i < ready; i++) drive(events[i].data.ptr);
        busy = 0;
        for (int i = 0; i < connections; i++)
            for (int s = 0; s < streams; s++) busy += all[i].slots[s].busy;
    }
    errors += busy;
    qsort(latencies, requests, sizeof *latencies, compare);
    printf("{\"requests\":%ld,\"errors\":%ld,\"refused\":%ld,\"lost\":%ld,\"seconds\":%.3f,\"p50\":%.1f,\"p90\":%.1f,"
           "\"p99\":%.1f}\n", requests, errors, refused, lost, (now_ns() - begin) / 1e9, quantile(0.5), quantile(0.9),
           quantile(0.99));
    return 0;
}
