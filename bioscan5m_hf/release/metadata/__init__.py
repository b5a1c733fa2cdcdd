"""Read the metadata of a release: csv or JSON-LD, streamed, checked and typed.

Every reader yields batches of the same schema; bad rows are told one by one.
Nothing here looks at images.
"""
