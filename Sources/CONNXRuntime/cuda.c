#include "groot_cuda.h"

#include <dlfcn.h>
#include <stdio.h>

int groot_cuda_open(const char *path, groot_cuda_driver *out, char *problem, size_t problem_bytes) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        const char *reason = dlerror();
        snprintf(problem, problem_bytes, "%s", reason == NULL ? "dlopen gave no reason" : reason);
        return -1;
    }
    const struct {
        const char *name;
        void **entry;
    } wanted[] = {
        {"cuMemcpyHtoD_v2", (void **)&out->copy_to_device},      {"cuMemcpyDtoH_v2", (void **)&out->copy_to_host},
        {"cuStreamSynchronize", (void **)&out->synchronize_stream}, {"cuMemGetInfo_v2", (void **)&out->memory_info},
        {"cuGetErrorName", (void **)&out->error_name},
    };
    for (size_t index = 0; index < sizeof wanted / sizeof wanted[0]; index++) {
        *wanted[index].entry = dlsym(handle, wanted[index].name);
        if (*wanted[index].entry == NULL) {
            snprintf(problem, problem_bytes, "%s lacks %s", path, wanted[index].name);
            dlclose(handle);
            return -1;
        }
    }
    return 0;
}
