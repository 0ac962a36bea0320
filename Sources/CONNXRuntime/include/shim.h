#ifndef GROOT_ONNXRUNTIME_SHIM_H
#define GROOT_ONNXRUNTIME_SHIM_H
int groot_onnxruntime_placeholder(void);
#endif
