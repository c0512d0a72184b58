#!/bin/sh
# Not tried by us. The image is one of Beam's for the same Python with unrote and gcsfs in it (docs/engines.md);
# here, `pip install 'unrote[beam]' 'apache-beam[gcp]' gcsfs`.
set -eu
unrote clean gs://lake/corpus -o gs://lake/cleaned --engine beam \
  --set engine.beam.runner=DataflowRunner \
  --set 'engine.beam.options=["--project=my-project", "--region=europe-west4", "--temp_location=gs://lake/tmp", "--staging_location=gs://lake/staging", "--sdk_container_image=europe-docker.pkg.dev/my-project/unrote/beam:0.1.0", "--max_num_workers=20"]'
