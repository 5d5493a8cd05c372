"""What a person does with runs: train, resume, evaluate, predict, compare, report."""
