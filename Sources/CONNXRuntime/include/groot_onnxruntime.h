// The part of ONNX Runtime's C interface that the worker calls, declared by position.
//
// The library hands out one table of function pointers (OrtGetApiBase()->GetApi(version)) that is only
// ever appended to: an entry keeps its position for all later versions. The entries below belong to
// version 11 of the table (ONNX Runtime 1.11) and those before; what lies between them is skipped with the
// number of entries, and the static assertions hold the positions at which ONNX Runtime's own assertions
// hold the ends of its versions. The library itself is opened at run time (see ORTLibrary.swift), so that
// nothing here is needed to build.
#ifndef GROOT_ONNXRUNTIME_H
#define GROOT_ONNXRUNTIME_H

#include <stddef.h>
#include <stdint.h>

// All objects are opaque; a status is NULL on success.
typedef struct groot_ort_status groot_ort_status;
typedef struct groot_ort_env groot_ort_env;
typedef struct groot_ort_session groot_ort_session;
typedef struct groot_ort_session_options groot_ort_session_options;
typedef struct groot_ort_run_options groot_ort_run_options;
typedef struct groot_ort_value groot_ort_value;
typedef struct groot_ort_memory_info groot_ort_memory_info;
typedef struct groot_ort_allocator groot_ort_allocator;
typedef struct groot_ort_type_info groot_ort_type_info;
typedef struct groot_ort_tensor_info groot_ort_tensor_info;
typedef struct groot_ort_binding groot_ort_binding;
typedef struct groot_ort_cuda_options groot_ort_cuda_options;
typedef struct groot_ort_tensorrt_options groot_ort_tensorrt_options;

// Element types (numbers fixed by the ABI).
enum {
    groot_ort_element_float = 1,
    groot_ort_element_uint8 = 2,
    groot_ort_element_int64 = 7,
    groot_ort_element_float16 = 10,
};

enum {
    groot_ort_log_warning = 2,
    groot_ort_log_error = 3,
    groot_ort_optimize_all = 99,
    groot_ort_arena_allocator = 1,
    groot_ort_memory_default = 0,
};

typedef struct groot_ort_api {
    void *skipped_0[2];
    const char *(*get_error_message)(const groot_ort_status *status);                       // 2
    groot_ort_status *(*create_env)(int log_level, const char *log_id, groot_ort_env **out);  // 3
    void *skipped_4[1];
    groot_ort_status *(*enable_telemetry)(const groot_ort_env *env);   // 5
    groot_ort_status *(*disable_telemetry)(const groot_ort_env *env);  // 6
    groot_ort_status *(*create_session)(const groot_ort_env *env, const char *model_path,
                                        const groot_ort_session_options *options, groot_ort_session **out);  // 7
    void *skipped_8[1];
    groot_ort_status *(*run)(groot_ort_session *session, const groot_ort_run_options *options,
                             const char *const *input_names, const groot_ort_value *const *inputs,
                             size_t input_count, const char *const *output_names, size_t output_count,
                             groot_ort_value **outputs);                            // 9
    groot_ort_status *(*create_session_options)(groot_ort_session_options **out);  // 10
    void *skipped_11[12];
    groot_ort_status *(*set_optimization_level)(groot_ort_session_options *options, int level);  // 23
    groot_ort_status *(*set_intra_op_threads)(groot_ort_session_options *options, int threads);  // 24
    groot_ort_status *(*set_inter_op_threads)(groot_ort_session_options *options, int threads);  // 25
    void *skipped_26[4];
    groot_ort_status *(*session_input_count)(const groot_ort_session *session, size_t *out);   // 30
    groot_ort_status *(*session_output_count)(const groot_ort_session *session, size_t *out);  // 31
    void *skipped_32[1];
    groot_ort_status *(*session_input_type)(const groot_ort_session *session, size_t index,
                                            groot_ort_type_info **out);  // 33
    groot_ort_status *(*session_output_type)(const groot_ort_session *session, size_t index,
                                             groot_ort_type_info **out);  // 34
    void *skipped_35[1];
    groot_ort_status *(*session_input_name)(const groot_ort_session *session, size_t index,
                                            groot_ort_allocator *allocator, char **out);  // 36
    groot_ort_status *(*session_output_name)(const groot_ort_session *session, size_t index,
                                             groot_ort_allocator *allocator, char **out);  // 37
    void *skipped_38[1];
    groot_ort_status *(*create_run_options)(groot_ort_run_options **out);  // 39
    void *skipped_40[9];
    groot_ort_status *(*create_tensor_with_data)(const groot_ort_memory_info *info, void *data, size_t data_bytes,
                                                 const int64_t *shape, size_t rank, int element_type,
                                                 groot_ort_value **out);  // 49
    void *skipped_50[1];
    groot_ort_status *(*tensor_data)(groot_ort_value *value, void **out);  // 51
    void *skipped_52[3];
    groot_ort_status *(*tensor_info_of_type)(const groot_ort_type_info *type,
                                             const groot_ort_tensor_info **out);  // 55
    void *skipped_56[4];
    groot_ort_status *(*tensor_element_type)(const groot_ort_tensor_info *info, int *out);              // 60
    groot_ort_status *(*tensor_rank)(const groot_ort_tensor_info *info, size_t *out);                   // 61
    groot_ort_status *(*tensor_shape)(const groot_ort_tensor_info *info, int64_t *out, size_t rank);    // 62
    void *skipped_63[2];
    groot_ort_status *(*tensor_info_of_value)(const groot_ort_value *value, groot_ort_tensor_info **out);  // 65
    void *skipped_66[2];
    groot_ort_status *(*create_memory_info)(const char *name, int allocator_type, int device, int memory_type,
                                            groot_ort_memory_info **out);  // 68
    groot_ort_status *(*create_cpu_memory_info)(int allocator_type, int memory_type,
                                                groot_ort_memory_info **out);  // 69
    void *skipped_70[5];
    groot_ort_status *(*allocator_alloc)(groot_ort_allocator *allocator, size_t bytes, void **out);  // 75
    groot_ort_status *(*allocator_free)(groot_ort_allocator *allocator, void *memory);  // 76
    void *skipped_77[1];
    groot_ort_status *(*default_allocator)(groot_ort_allocator **out);  // 78
    void *skipped_79[13];
    void (*release_env)(groot_ort_env *env);                               // 92
    void (*release_status)(groot_ort_status *status);                      // 93
    void (*release_memory_info)(groot_ort_memory_info *info);              // 94
    void (*release_session)(groot_ort_session *session);                   // 95
    void (*release_value)(groot_ort_value *value);                         // 96
    void (*release_run_options)(groot_ort_run_options *options);           // 97
    void (*release_type_info)(groot_ort_type_info *info);                  // 98
    void (*release_tensor_info)(groot_ort_tensor_info *info);              // 99
    void (*release_session_options)(groot_ort_session_options *options);   // 100
    void *skipped_101[24];
    groot_ort_status *(*available_providers)(char ***out, int *count);            // 125
    groot_ort_status *(*release_available_providers)(char **providers, int count);  // 126
    void *skipped_127[4];
    groot_ort_status *(*create_allocator)(const groot_ort_session *session, const groot_ort_memory_info *info,
                                          groot_ort_allocator **out);  // 131
    void (*release_allocator)(groot_ort_allocator *allocator);         // 132
    groot_ort_status *(*run_with_binding)(groot_ort_session *session, const groot_ort_run_options *options,
                                          const groot_ort_binding *binding);                       // 133
    groot_ort_status *(*create_binding)(groot_ort_session *session, groot_ort_binding **out);      // 134
    void (*release_binding)(groot_ort_binding *binding);                                           // 135
    groot_ort_status *(*bind_input)(groot_ort_binding *binding, const char *name,
                                    const groot_ort_value *value);  // 136
    groot_ort_status *(*bind_output)(groot_ort_binding *binding, const char *name,
                                     const groot_ort_value *value);  // 137
    void *skipped_138[22];
    groot_ort_status *(*set_current_gpu)(int device);  // 160
    void *skipped_161[4];
    groot_ort_status *(*add_run_config)(groot_ort_run_options *options, const char *key, const char *value);  // 165
    void *skipped_166[4];
    groot_ort_status *(*append_tensorrt)(groot_ort_session_options *options,
                                         const groot_ort_tensorrt_options *tensorrt);                  // 170
    groot_ort_status *(*create_tensorrt_options)(groot_ort_tensorrt_options **out);                    // 171
    groot_ort_status *(*update_tensorrt_options)(groot_ort_tensorrt_options *options, const char *const *keys,
                                                 const char *const *values, size_t count);             // 172
    void *skipped_173[1];
    void (*release_tensorrt_options)(groot_ort_tensorrt_options *options);  // 174
    void *skipped_175[27];
    groot_ort_status *(*synchronize_inputs)(groot_ort_binding *binding);   // 202
    groot_ort_status *(*synchronize_outputs)(groot_ort_binding *binding);  // 203
    groot_ort_status *(*append_cuda)(groot_ort_session_options *options,
                                     const groot_ort_cuda_options *cuda);               // 204
    groot_ort_status *(*create_cuda_options)(groot_ort_cuda_options **out);             // 205
    groot_ort_status *(*update_cuda_options)(groot_ort_cuda_options *options, const char *const *keys,
                                             const char *const *values, size_t count);  // 206
    void *skipped_207[1];
    void (*release_cuda_options)(groot_ort_cuda_options *options);  // 208
    void *skipped_209[1];
} groot_ort_api;

#define GROOT_ORT_POSITION(entry, position) \
    _Static_assert(offsetof(groot_ort_api, entry) == (position) * sizeof(void *), "position of " #entry)
GROOT_ORT_POSITION(run, 9);
GROOT_ORT_POSITION(set_intra_op_threads, 24);
GROOT_ORT_POSITION(session_input_count, 30);
GROOT_ORT_POSITION(create_tensor_with_data, 49);
GROOT_ORT_POSITION(tensor_info_of_type, 55);
GROOT_ORT_POSITION(tensor_info_of_value, 65);
GROOT_ORT_POSITION(default_allocator, 78);
GROOT_ORT_POSITION(release_session_options, 100);
GROOT_ORT_POSITION(create_memory_info, 68);
GROOT_ORT_POSITION(allocator_alloc, 75);
GROOT_ORT_POSITION(available_providers, 125);
GROOT_ORT_POSITION(create_allocator, 131);
GROOT_ORT_POSITION(run_with_binding, 133);
GROOT_ORT_POSITION(set_current_gpu, 160);
GROOT_ORT_POSITION(add_run_config, 165);
GROOT_ORT_POSITION(append_tensorrt, 170);
GROOT_ORT_POSITION(release_tensorrt_options, 174);
GROOT_ORT_POSITION(synchronize_outputs, 203);
GROOT_ORT_POSITION(append_cuda, 204);
GROOT_ORT_POSITION(release_cuda_options, 208);
_Static_assert(sizeof(groot_ort_api) == 210 * sizeof(void *), "version 11 of the table has 210 entries");
#undef GROOT_ORT_POSITION

// What a shared library answered.
typedef struct groot_ort_library {
    void *handle;
    const groot_ort_api *api;
    // Version of the table that was handed out, at most the one asked for.
    uint32_t api_version;
    // The library's own version text, e.g. "1.32.0".
    const char *version;
} groot_ort_library;

// The first version whose table holds all entries above.
enum { groot_ort_oldest = 11 };

// Opens the library and asks for the newest table from `newest` down to `groot_ort_oldest`. Returns 0, or -1 with a text
// in `problem` (always terminated). A library that was opened stays open for the life of the process:
// its threads may outlive any session.
int groot_ort_open(const char *path, uint32_t newest, groot_ort_library *out, char *problem, size_t problem_bytes);

#endif
