"""Training: recipes are lists of stages, a stage says what is learned, and one loop runs them all.

Read `limpid.train.stage` (the values), `limpid.train.learner` (what the loop asks of an objective) and
`limpid.train.loop`.
"""
