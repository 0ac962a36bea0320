import Testing

@Test
func skeletonGrootStore() {}
