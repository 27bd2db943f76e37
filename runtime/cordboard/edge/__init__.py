"""The edge's processes: thin shells around the engines of `session` and `plane` (DESIGN §1 and §2).

`supervisor` starts `control` (SIP, HTTP, functions), one `media` process per plane, and the `finisher` of recordings.
"""
