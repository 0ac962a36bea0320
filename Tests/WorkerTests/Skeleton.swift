import Testing

@Test
func skeletonWorker() {}
