"""Measurements that anyone with the labelled data can run; see run.py and throughput.py."""
