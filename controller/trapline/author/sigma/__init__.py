"""Sigma rules on CloudTrail made into detections: read by pySigma, said in plain Python, nothing of ours inside.

One rule: what is not understood exactly is not converted, and says why. Nothing here asks the network.
"""
