"""`make bench`: measures the hot paths and prints them as ratios within one run, next to the bar each is held to.

One module per measure. Compared servers run the same uvicorn settings on the same core, the client and Redis on
another, in interleaved rounds; medians are shown. A bench never asserts: what misses its bar is said, not raised.
"""
