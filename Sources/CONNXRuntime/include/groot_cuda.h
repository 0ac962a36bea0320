// The part of CUDA's driver interface that moves a model's inputs and outputs between host and GPU.
//
// ONNX Runtime's C interface allocates memory on a GPU and runs on it, but does not copy to a fixed address, which a
// captured CUDA graph needs. The driver's library is opened at run time; without a driver nothing else is affected.
// How busy and how warm a GPU is, its management library says: groot_nvml.h.
#ifndef GROOT_CUDA_H
#define GROOT_CUDA_H

#include <stddef.h>
#include <stdint.h>

// Entries of libcuda.so.1; a result is 0 on success. The _v2 names are the 64-bit ABI since CUDA 3.2.
typedef struct groot_cuda_driver {
    int (*copy_to_device)(uint64_t device, const void *host, size_t bytes);    // cuMemcpyHtoD_v2
    int (*copy_to_host)(void *host, uint64_t device, size_t bytes);            // cuMemcpyDtoH_v2
    int (*synchronize_stream)(void *stream);                                   // cuStreamSynchronize
    int (*memory_info)(size_t *free_bytes, size_t *total_bytes);               // cuMemGetInfo_v2
    int (*error_name)(int result, const char **name);                          // cuGetErrorName
} groot_cuda_driver;

// Opens `path` (libcuda.so.1). Returns 0, or -1 with a text in `problem` (always terminated).
int groot_cuda_open(const char *path, groot_cuda_driver *out, char *problem, size_t problem_bytes);

#endif
