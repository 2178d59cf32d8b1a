"""`luigi-traffic serve`: speeds, forecasts and figures of the warehouse over HTTP, to be read only.

command    the process: settings, socket, signals
app        the application: its parts, and what an error looks like
gate       what every request passes: rate, token, size, log, figures
routes     one function a resource
answer     ETag, kept answers, pages
catalog    which datasets there are, and in which state
pool       connections to the warehouse
forecasts, insights, roads, speeds    the questions to the warehouse
"""
