import Testing

@Test
func skeletonSystem() {}
