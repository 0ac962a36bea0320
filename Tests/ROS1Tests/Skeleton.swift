import Testing

@Test
func skeletonROS1() {}
