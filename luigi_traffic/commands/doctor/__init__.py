"""`luigi-traffic doctor`: `command` lists the checks, the other modules make them."""
