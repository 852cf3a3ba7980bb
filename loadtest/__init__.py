"""Load, measured: the bench (wrk, closed loop), the load test (Locust, constant rate), the soak (memory)."""
