DROP VIEW episode_metrics;
DROP TABLE inferences;
DROP TABLE episodes;
DROP TABLE run_configs;
DROP TABLE worker_checkpoints;
DROP TABLE workers;
DROP TABLE checkpoints;
DROP TABLE robots;
