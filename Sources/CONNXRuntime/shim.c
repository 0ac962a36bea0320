#include "groot_onnxruntime.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct groot_ort_api_base {
    const groot_ort_api *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
} groot_ort_api_base;

// The library writes a line to standard error for every version above its own, so the search starts at the minor
// number of its version text (1.32.0 hands out table 32) when that is lower than what was asked for.
static uint32_t newest_of(const char *version, uint32_t newest) {
    unsigned int major = 0, minor = 0;
    if (version != NULL && sscanf(version, "%u.%u", &major, &minor) == 2 && major == 1 && minor < newest) {
        return minor;
    }
    return newest;
}

int groot_ort_open(const char *path, uint32_t newest, groot_ort_library *out, char *problem, size_t problem_bytes) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *reason = dlerror();
        snprintf(problem, problem_bytes, "%s", reason == NULL ? "dlopen gave no reason" : reason);
        return -1;
    }
    const groot_ort_api_base *(*get_base)(void) = (const groot_ort_api_base *(*)(void))dlsym(handle, "OrtGetApiBase");
    const groot_ort_api_base *base = get_base == NULL ? NULL : get_base();
    if (base == NULL) {
        snprintf(problem, problem_bytes, "it is no ONNX Runtime: the symbol OrtGetApiBase is missing");
        dlclose(handle);
        return -1;
    }
    out->version = base->get_version();
    for (uint32_t version = newest_of(out->version, newest); version >= groot_ort_oldest; version--) {
        const groot_ort_api *api = base->get_api(version);
        if (api != NULL) {
            out->handle = handle;
            out->api = api;
            out->api_version = version;
            return 0;
        }
    }
    snprintf(problem, problem_bytes, "version %s hands out no table from %u down to %d; take 1.%d or later",
             out->version, newest, groot_ort_oldest, groot_ort_oldest);
    return -1;
}
