enum ROS1Skeleton {}
