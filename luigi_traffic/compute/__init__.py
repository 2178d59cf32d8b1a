"""bronze, silver and gold as plans of data frames, and the engines that run them."""
