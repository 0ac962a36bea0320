import Testing

@Test
func skeletonHTTP2() {}
