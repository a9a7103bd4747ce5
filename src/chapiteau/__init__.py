"""Build, deploy and run web services in Python, and prove that they scale.

Public names live in the wings: `chapiteau.service`, `chapiteau.run`, `chapiteau.load`.
"""
