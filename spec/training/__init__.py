"""What training needs besides the plan, framework or not: random streams, the state of a run, checkpoints."""
