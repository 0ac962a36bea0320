import Testing

@Test
func skeletonRobotAgent() {}
