"""Networks that only training needs: the critics of adversarial losses."""
