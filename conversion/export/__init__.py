"""Write specimens in the forms that other tools read: FASTA, csv, folders of images, HDF5.

One class for each target, all behind ``base.Target``. The rows come through the readers that
``load_dataset`` uses, so any dataset folder, raw release or repository of the Hub will do.
"""
