import Testing

@Test
func skeletonGrootCore() {}
