import Testing

@Test
func skeletonSimulator() {}
