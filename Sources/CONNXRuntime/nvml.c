#include "groot_nvml.h"

#include <dlfcn.h>
#include <stdio.h>

int groot_nvml_open(const char *path, groot_nvml *out, char *problem, size_t problem_bytes) {
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
        {"nvmlInit_v2", (void **)&out->init},
        {"nvmlDeviceGetCount_v2", (void **)&out->count},
        {"nvmlDeviceGetHandleByIndex_v2", (void **)&out->device},
        {"nvmlDeviceGetUUID", (void **)&out->uuid},
        {"nvmlDeviceGetUtilizationRates", (void **)&out->utilization},
        {"nvmlDeviceGetTemperature", (void **)&out->temperature},
        {"nvmlDeviceGetMemoryInfo", (void **)&out->memory},
    };
    for (size_t index = 0; index < sizeof wanted / sizeof wanted[0]; index++) {
        *wanted[index].entry = dlsym(handle, wanted[index].name);
        if (*wanted[index].entry == NULL) {
            snprintf(problem, problem_bytes, "%s lacks %s", path, wanted[index].name);
            dlclose(handle);
            return -1;
        }
    }
    int result = out->init();
    if (result != 0) {
        snprintf(problem, problem_bytes, "%s: nvmlInit_v2 answered %d", path, result);
        dlclose(handle);
        return -1;
    }
    return 0;
}
