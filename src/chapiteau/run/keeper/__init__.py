"""The keeper: parent of every process, holder of every socket and pipe. It never decides.

It runs alone, as `python -I -S FOLDER`, without the rest of the package: the standard library
only, one thread, one poll loop, about 5 MiB for a whole machine. That is also why these modules
import each other relatively.
"""
