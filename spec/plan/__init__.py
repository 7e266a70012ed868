"""From formulas and schedules to the plan: one iteration as lists of evaluations that any backend can execute."""
