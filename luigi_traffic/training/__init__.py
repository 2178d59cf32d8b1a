"""Training: from gold's columns to a registered, evaluated model.

`series` → `windows` → `scaler` → `batches` → `loop` → `bundle` → `evaluate` →
`report` and `registry`. Nothing here is imported before there is work to do: torch
comes in with `batches`, MLflow with `registry`, matplotlib with `report`.
"""
