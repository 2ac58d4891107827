"""Pictures with known layers, and how close what was found comes to them."""
