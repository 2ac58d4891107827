"""Taking a picture apart: from regions over surfaces and things to layers, their order, alphas and colors."""
