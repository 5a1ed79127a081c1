"""The use cases: what people do with containers, images and volumes. One file a noun or a verb that needs one.

`Engine` (in `engine.py`) is the door; the API calls it and nothing else does.
"""
