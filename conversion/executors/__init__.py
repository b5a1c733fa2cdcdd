"""Run the making of shards: in processes or threads of this machine, or on a Dask cluster.

Here lives how work is handed out, watched and tried again; what the work is lives elsewhere.
"""
