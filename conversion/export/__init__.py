"""Export specimens to the formats of other tools: FASTA, csv, folders of images, HDF5.

Each target is a subclass of ``base.Target``. The rows are read by the same readers as in
``load_dataset``, so the source can be a dataset folder, a raw release or a repository of the Hub.
"""
