"""Find out what a path is: a dataset folder or a raw release, here or remote.

Each says which splits and pieces there are, and what tells its content from another.
Reading a shard and building a dataset are other rooms.
"""
