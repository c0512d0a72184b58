#!/bin/sh
# Not tried by us. Beam fetches Flink's job server from Maven; the image as for Dataflow. Results come back through
# engine.scratch: a folder that this machine and the workers share.
set -eu
unrote clean s3://lake/corpus -o s3://lake/cleaned --engine beam \
  --set engine.beam.runner=FlinkRunner --set engine.scratch=/shared/scratch \
  --set 'engine.beam.options=["--flink_master=head:8081", "--flink_version=1.20", "--parallelism=16", "--environment_type=DOCKER", "--environment_config=registry/unrote-beam:0.1.0"]'
