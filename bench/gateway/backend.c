// A worker that does no inference: answers Health/Check, Describe and everything else on cleartext HTTP/2, after a
// service time of its own. One thread, nghttp2 and epoll, so that it costs little beside the proxy that is measured.
//
//   backend PORT NAME RESPONSE_BYTES SERVICE_MS SERIAL(0|1) GOAWAY_EVERY(0: never)
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 256 << 10, LARGEST = 1 << 20 };

struct connection {
    nghttp2_session *session;
    int fd;
    int requests;
    int pending;  // answers in the due queue
    int closed;
    uint8_t *out;
    size_t out_length, out_sent, out_capacity;
};

struct answer {
    struct connection *connection;
    int32_t stream;
    int64_t due;
};

struct body {
    const uint8_t *bytes;
    size_t left;
};

static int response_bytes, serial, goaway_every;
static int64_t service_ns, busy_until;
static const char *name;
static uint8_t *payload;
static uint8_t health[] = {0, 0, 0, 0, 2, 8, 1};
static uint8_t description[256];
static size_t description_length;
static struct answer *due;
static size_t due_first, due_last, due_capacity;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static nghttp2_nv field(const char *key, const char *value) {
    nghttp2_nv nv = {(uint8_t *)key, (uint8_t *)value, strlen(key), strlen(value), 0};
    return nv;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *user) {
    struct body *body = source->ptr;
    size_t count = body->left < length ? body->left : length;
    memcpy(to, body->bytes, count);
    body->bytes += count;
    body->left -= count;
    if (body->left == 0) {
        nghttp2_nv trailer = field("grpc-status", "0");
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, stream, &trailer, 1);
    }
    return (ssize_t)count;
}

static void answer(nghttp2_session *session, int32_t stream, const uint8_t *bytes, size_t length) {
    struct body *body = malloc(sizeof *body);
    body->bytes = bytes;
    body->left = length;
    nghttp2_session_set_stream_user_data(session, stream, body);
    nghttp2_nv fields[] = {field(":status", "200"), field("content-type", "application/grpc")};
    nghttp2_data_provider provider = {{.ptr = body}, read_body};
    nghttp2_submit_response(session, stream, fields, 2, &provider);
}

static int stream_closed(nghttp2_session *session, int32_t stream, uint32_t code, void *user) {
    void *data = nghttp2_session_get_stream_user_data(session, stream);
    if ((intptr_t)data > 16) free(data);
    return 0;
}

static int header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *key, size_t key_length,
                  const uint8_t *value, size_t length, uint8_t flags, void *user) {
    if (key_length == 5 && memcmp(key, ":path", 5) == 0) {
        intptr_t kind = 3;
        if (length > 6 && memcmp(value + length - 6, "/Check", 6) == 0) kind = 1;
        if (length > 9 && memcmp(value + length - 9, "/Describe", 9) == 0) kind = 2;
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, (void *)kind);
    }
    return 0;
}

static int frame_received(nghttp2_session *session, const nghttp2_frame *frame, void *user) {
    struct connection *connection = user;
    int32_t stream = frame->hd.stream_id;
    if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS))
        return 0;
    intptr_t kind = (intptr_t)nghttp2_session_get_stream_user_data(session, stream);
    if (kind == 1) {
        answer(session, stream, health, sizeof health);
    } else if (kind == 2) {
        answer(session, stream, description, description_length);
    } else if (service_ns == 0) {
        answer(session, stream, payload, response_bytes);
    } else {
        int64_t now = now_ns();
        int64_t start = serial && busy_until > now ? busy_until : now;
        busy_until = start + service_ns;
        if (due_last == due_capacity) {
            memmove(due, due + due_first, (due_last - due_first) * sizeof *due);
            due_last -= due_first;
            due_first = 0;
            if (due_last * 2 >= due_capacity) {
                due_capacity = due_capacity ? due_capacity * 2 : 1024;
                due = realloc(due, due_capacity * sizeof *due);
            }
        }
        connection->pending++;
        due[due_last++] = (struct answer){connection, stream, busy_until};
    }
    if (kind == 3 && goaway_every && ++connection->requests == goaway_every)
        nghttp2_submit_goaway(session, 0, nghttp2_session_get_last_proc_stream_id(session), 0, NULL, 0);
    return 0;
}

static void release(struct connection *connection) {
    if (connection->closed && connection->pending == 0) free(connection);
}

static void close_connection(struct connection *connection) {
    if (connection->closed) return;
    nghttp2_session_del(connection->session);
    close(connection->fd);
    free(connection->out);
    connection->closed = 1;
}

static void flush(struct connection *connection) {
    if (connection->closed) return;
    for (;;) {
        while (connection->out_length < LARGEST) {
            const uint8_t *bytes;
            ssize_t count = nghttp2_session_mem_send(connection->session, &bytes);
            if (count <= 0) break;
            if (connection->out_length + count > connection->out_capacity) {
                connection->out_capacity = (connection->out_length + count) * 2;
                connection->out = realloc(connection->out, connection->out_capacity);
            }
            memcpy(connection->out + connection->out_length, bytes, count);
            connection->out_length += count;
        }
        if (connection->out_sent == connection->out_length) break;
        ssize_t sent = send(connection->fd, connection->out + connection->out_sent,
                            connection->out_length - connection->out_sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) close_connection(connection);
            return;
        }
        connection->out_sent += sent;
        if (connection->out_sent == connection->out_length) connection->out_sent = connection->out_length = 0;
    }
    if (!nghttp2_session_want_read(connection->session) && !nghttp2_session_want_write(connection->session))
        close_connection(connection);
}

static void describe(void) {
    // Field 1: the worker's name; field 2: a policy whose field 1 is the checkpoint "bench".
    uint8_t *at = description + 5;
    size_t length = strlen(name);
    *at++ = 0x0A;
    *at++ = (uint8_t)length;
    memcpy(at, name, length);
    at += length;
    memcpy(at, "\x12\x07\x0A\x05" "bench", 9);
    at += 9;
    description_length = at - description;
    description[4] = (uint8_t)(description_length - 5);
}

int main(int count, char **arguments) {
    if (count != 7) return fprintf(stderr, "backend PORT NAME BYTES SERVICE_MS SERIAL GOAWAY_EVERY\n"), 64;
    name = arguments[2];
    response_bytes = atoi(arguments[3]);
    service_ns = (int64_t)(atof(arguments[4]) * 1e6);
    serial = atoi(arguments[5]);
    goaway_every = atoi(arguments[6]);
    payload = calloc(1, response_bytes + 5);
    uint32_t framed = htonl(response_bytes - 5);
    memcpy(payload + 1, &framed, 4);
    describe();

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 512))
        return perror("backend"), 1;

    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);

    int epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){EPOLLIN, {.ptr = NULL}});
    static uint8_t buffer[BUFFER];
    for (;;) {
        struct timespec wait = {0, 0}, *timeout = NULL;
        if (due_first < due_last) {
            int64_t left = due[due_first].due - now_ns();
            if (left > 0) wait = (struct timespec){left / 1000000000, left % 1000000000};
            timeout = &wait;
        }
        struct epoll_event events[64];
        int ready = epoll_pwait2(epoll, events, 64, timeout, NULL);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
                if (fd < 0) continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                connection = calloc(1, sizeof *connection);
                connection->fd = fd;
                nghttp2_option *option;
                nghttp2_option_new(&option);
                nghttp2_option_set_no_closed_streams(option, 1);
                nghttp2_session_server_new2(&connection->session, callbacks, connection, option);
                nghttp2_option_del(option);
                nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20},
                                                     {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 256}};
                nghttp2_submit_settings(connection->session, 0, settings, 2);
                nghttp2_session_set_local_window_size(connection->session, 0, 0, 16 << 20);
                epoll_ctl(epoll, EPOLL_CTL_ADD, fd,
                          &(struct epoll_event){EPOLLIN | EPOLLOUT | EPOLLET, {.ptr = connection}});
                flush(connection);
                continue;
            }
            while (!connection->closed) {
                ssize_t got = recv(connection->fd, buffer, sizeof buffer, 0);
                if (got < 0 && errno == EAGAIN) break;
                if (got <= 0 || nghttp2_session_mem_recv(connection->session, buffer, got) < 0)
                    close_connection(connection);
            }
            flush(connection);
            release(connection);
        }
        int64_t now = now_ns();
        while (due_first < due_last && due[due_first].due <= now) {
            struct answer next = due[due_first++];
            next.connection->pending--;
            if (!next.connection->closed && nghttp2_session_find_stream(next.connection->session, next.stream)) {
                answer(next.connection->session, next.stream, payload, response_bytes);
                flush(next.connection);
            }
            release(next.connection);
        }
    }
}
