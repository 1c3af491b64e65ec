module scs.observability/lab/pause

go 1.26.0
