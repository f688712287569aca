"""Files of tries, kept after their containers have gone."""
