enum GrootStoreSkeleton {}
