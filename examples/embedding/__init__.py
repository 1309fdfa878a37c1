"""Programs that have Perdure inside: a web service, a web process beside a worker, a notebook, a cron job."""
