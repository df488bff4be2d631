"""Searches that run as jobs of a Ray cluster: the job server and what is uploaded to it. Read `job_server.py` first."""
