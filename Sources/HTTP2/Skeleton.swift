enum HTTP2Skeleton {}
