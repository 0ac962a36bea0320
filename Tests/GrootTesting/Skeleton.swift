enum GrootTestingSkeleton {}
