"""What applications of the 2018 framework called and may miss, and the platform does not need.

Pure functions, one file for each subject; nothing is imported until an application does. The
platform itself imports none of them: one that it comes to need moves to `bkjs.lib`.
"""
