int groot_onnxruntime_placeholder(void) { return 0; }
