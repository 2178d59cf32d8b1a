"""`luigi-traffic links`: names, lengths and geometry of links, from files into the warehouse."""
