"""What two pictures have in common and what not: how they lie on each other, in figures, as a heat map, and in words.

`align` and `pixels` take pictures, `differences` takes operations, `subjects` says what stands against what; all are pure.
`cache` asks them for stored files and keeps the answers in `cache/`, where they may be deleted at any time.
"""
