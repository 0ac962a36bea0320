// A libnvidia-ml with two GPUs, for GPUTelemetryTests: what they say stands in the file that GROOT_FAKE_NVML names, one
// line each: "UTILIZATION CELSIUS USED TOTAL"; a value of -1 is not supported, "lost" is a GPU that answers nothing.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { unsigned int gpu, memory; } utilization;
typedef struct { unsigned long long total, unused, used; } memory;

static char handles[2];

static int value(const void *device, int column, long long *out) {
    char line[128];
    FILE *file = fopen(getenv("GROOT_FAKE_NVML"), "r");
    if (file == NULL) return 999;
    int result = 15;  // the GPU is lost
    for (long row = (const char *)device - handles; row >= 0 && fgets(line, sizeof line, file) != NULL; row--) {
        long long values[4];
        if (row == 0 && sscanf(line, "%lld %lld %lld %lld", values, values + 1, values + 2, values + 3) == 4) {
            *out = values[column];
            result = values[column] < 0 ? 3 : 0;  // not supported
        }
    }
    fclose(file);
    return result;
}

int nvmlInit_v2(void) { return getenv("GROOT_FAKE_NVML") == NULL ? 9 : 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    *device = handles + index;
    return index < 2 ? 0 : 2;
}
int nvmlDeviceGetUUID(void *device, char *text, unsigned int bytes) {
    snprintf(text, bytes, "GPU-fake-%d", (int)((char *)device - handles));
    return 0;
}
int nvmlDeviceGetUtilizationRates(void *device, utilization *out) {
    long long found = 0;
    int result = value(device, 0, &found);
    out->gpu = (unsigned int)found;
    return result;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *out) {
    long long found = 0;
    int result = sensor == 0 ? value(device, 1, &found) : 2;
    *out = (unsigned int)found;
    return result;
}
int nvmlDeviceGetMemoryInfo(void *device, memory *out) {
    long long used = 0, total = 0;
    int result = value(device, 2, &used);
    if (result == 0) result = value(device, 3, &total);
    out->used = used;
    out->total = total;
    return result;
}
