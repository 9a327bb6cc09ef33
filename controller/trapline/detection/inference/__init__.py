"""What can be known of a rule before it runs: which records cannot match, and which columns it can touch.

Others call `infer` and `reads`, speak the language of `predicate`, and have it put in words by `spell`. A rule's source
is parsed (`parse`), the names of its module are looked up (`names`, `literals`), and `detect` is followed: `statements`
over `calls` over `expressions` over `flow`, with what `values` they come to, and what Python does with those
(`operations`, `methods`, `functions`, `regexes`). Nothing of a rule is run here, not even a pattern.
"""
