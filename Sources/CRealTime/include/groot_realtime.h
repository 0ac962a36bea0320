// What the C library offers for threads only behind _GNU_SOURCE, which Swift's module map does not define.
#ifndef GROOT_REALTIME_H
#define GROOT_REALTIME_H

/// Names the calling thread; at most 15 bytes are used.
void groot_name_thread(const char *name);

/// Keeps the calling thread on one processor. Returns 0 or an errno value.
int groot_pin_thread(int cpu);

#endif
