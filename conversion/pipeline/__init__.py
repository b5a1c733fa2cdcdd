"""One conversion from beginning to end: what is asked for, the steps, what came of it.

The steps are the other rooms' work; here they are put in order.
No command line, and no format.
"""
