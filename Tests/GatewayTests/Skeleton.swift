import Testing

@Test
func skeletonGateway() {}
