#!/bin/sh
# In kolla's container: two hours of samples from before its Prometheus was there, as a block like those that it makes.
set -eu
end=$(($(date +%s) / 7200 * 7200 - 7200))
{
  echo '# TYPE lab_before gauge'
  for minute in 100 70 40 10; do
    echo "lab_before{job=\"node\"} $minute $((end - minute * 60))"
  done
  echo '# EOF'
} >/tmp/before.om
/opt/prometheus/promtool tsdb create-blocks-from openmetrics /tmp/before.om /var/lib/prometheus
rm /tmp/before.om
