"""User settings: parameters, configuration, sample sheet, and messages for mistakes in them."""
