"""Where shards are made: processes or threads of this machine, or the workers of a Dask cluster.

Here lives how work is handed out, watched and tried again; what the work is lives elsewhere.
"""
