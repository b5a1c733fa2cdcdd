"""Read the metadata of a release: csv or JSON-LD, streamed, checked and typed.

Every reader yields batches of the same schema and reports bad rows one by one.
Nothing here looks at images.
"""
