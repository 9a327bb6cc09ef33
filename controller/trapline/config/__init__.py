"""Config files: strict reading of YAML and TOML, and problems in plain words that know their line.

Knows no detection and no setting; those are the models it is handed.
"""
