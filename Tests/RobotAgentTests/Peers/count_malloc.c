// LD_PRELOAD shim: counts heap allocations of the thread named "groot-control" after a warm-up and prints the number
// at exit. Frees are not counted: they do not wait for memory.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static atomic_long allocations, calls_seen;
static long warm_up_ms = 2000;
static struct timespec start;
static __thread int is_control, depth, checks;
static void *first[16];
static int first_depth;

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

__attribute__((constructor)) static void begin(void) {
    clock_gettime(CLOCK_MONOTONIC, &start);
    const char *text = getenv("GROOT_WARM_UP_MS");
    if (text) warm_up_ms = atol(text);
    void *warm[2];
    backtrace(warm, 2);
}

__attribute__((destructor)) static void end(void) {
    fprintf(stderr, "control-thread-seen=%ld allocations=%ld\n", atomic_load(&calls_seen), atomic_load(&allocations));
    if (first_depth) backtrace_symbols_fd(first, first_depth, 2);
}

static void note(void) {
    if (depth) return;
    if (!is_control && checks < 100000) {
        char name[16] = "";
        checks++;
        prctl(PR_GET_NAME, name);
        is_control = strcmp(name, "groot-control") == 0;
    }
    if (!is_control) return;
    atomic_fetch_add(&calls_seen, 1);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < warm_up_ms) return;
    if (atomic_fetch_add(&allocations, 1) == 0) {
        depth++;
        first_depth = backtrace(first, 16);
        depth--;
    }
}

void *malloc(size_t size) { note(); return __libc_malloc(size); }
void *calloc(size_t count, size_t size) { note(); return __libc_calloc(count, size); }
void *realloc(void *old, size_t size) { note(); return __libc_realloc(old, size); }
void *aligned_alloc(size_t alignment, size_t size) { note(); return __libc_memalign(alignment, size); }
int posix_memalign(void **result, size_t alignment, size_t size) {
    note();
    *result = __libc_memalign(alignment, size);
    return *result ? 0 : 12;
}
