"""Where the weights live: the plan, and what carries it out."""
