#!/bin/sh
# In kolla's container: what its Prometheus knows of its targets so far, as a block like those that it makes every two hours.
set -eu
# Its chunks are linked to, which goes within a file system only.
/opt/prometheus/promtool tsdb dump-openmetrics --sandbox-dir-root=/var/lib/prometheus --match='up' /var/lib/prometheus >/tmp/up.om
/opt/prometheus/promtool tsdb create-blocks-from openmetrics /tmp/up.om /var/lib/prometheus
rm /tmp/up.om
