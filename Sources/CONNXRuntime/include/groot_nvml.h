// The part of NVIDIA's management library that says how busy and how warm a GPU is.
//
// The library comes with the driver and is opened at run time; without one nothing else is affected.
#ifndef GROOT_NVML_H
#define GROOT_NVML_H

#include <stddef.h>

typedef struct groot_nvml_device groot_nvml_device;

// Per cent of the last sampling period in which a kernel ran, or memory was read or written.
typedef struct groot_nvml_utilization {
    unsigned int gpu;
    unsigned int memory;
} groot_nvml_utilization;

typedef struct groot_nvml_memory {
    unsigned long long total;
    unsigned long long unused;
    unsigned long long used;
} groot_nvml_memory;

enum { groot_nvml_sensor_gpu = 0 };

// Entries of libnvidia-ml.so.1; a result is 0 on success.
typedef struct groot_nvml {
    int (*init)(void);                                                               // nvmlInit_v2
    int (*count)(unsigned int *count);                                               // nvmlDeviceGetCount_v2
    int (*device)(unsigned int index, groot_nvml_device **out);                      // nvmlDeviceGetHandleByIndex_v2
    int (*uuid)(groot_nvml_device *device, char *text, unsigned int bytes);          // nvmlDeviceGetUUID
    int (*utilization)(groot_nvml_device *device, groot_nvml_utilization *out);      // nvmlDeviceGetUtilizationRates
    int (*temperature)(groot_nvml_device *device, int sensor, unsigned int *degrees); // nvmlDeviceGetTemperature
    int (*memory)(groot_nvml_device *device, groot_nvml_memory *out);                // nvmlDeviceGetMemoryInfo
} groot_nvml;

// Opens `path` (libnvidia-ml.so.1) and initialises it. Returns 0, or -1 with a text in `problem` (always terminated). A
// library that was opened stays open for the life of the process.
int groot_nvml_open(const char *path, groot_nvml *out, char *problem, size_t problem_bytes);

#endif
