"""The detections of a checkout on the matrix of MITRE ATT&CK: for people, for programs and as a layer of its Navigator.

One rule: only what an enabled detection names by an id that is right is covered.
"""
