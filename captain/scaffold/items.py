"""The texts of the known items, one block each: id and marks, title, what a person shows.

Marks: `!` a blocker, `=other` repeats that item, `30d` how long a person's word counts, words what it is about.
"""

ITEMS = """
infra.non-root ! containers
Docker containers running non-root users
Show the user and the processes of every container; none of ours runs as root.

infra.limits containers
Resource limits configured (CPU, memory)
Show the limits of every container: memory and CPU, as the engine reports them.

infra.health ! containers
Health checks implemented
Show the health check of every container, the worker's own included, and that it is healthy.

infra.auto-restart containers
Auto-restart on failure
Show the restart policy of every container and a crash on staging from which it came back.

infra.volumes containers
Volume mounts configured
Show that everything that must outlive a container lies on a named volume.

infra.network ! containers
Network isolation (Docker networks)
Show the published ports and networks; databases and caches are not open to other machines.

infra.env-secrets ! containers
secrets via .env files (not hardcoded)
Show the scan for secrets of the whole repository and that no .env file was ever tracked.

db.pooling database
Connection pooling (CONN_MAX_AGE: 600)
Show the setting and how many sessions fifty requests opened.

db.ssl-mode database
SSL mode configurable
Show the mode that production uses and that no session from another machine is without TLS.

db.slow-log database
Slow query logging enabled
Show the threshold and a slow query that was logged.

db.backup-scripts database
Backup scripts in place
Show the script, its schedule and what it wrote last.

db.restore ! database
Restore scripts tested
Give the record of the last restore: when, how long it took, how many rows came back.

db.migration-rollback migrations
Migration rollback procedures
Show that the migrations of the release can be undone, and by which command.

db.no-mysql-options postgres
No MySQL-specific options in PostgreSQL config
Show the names of the options of the connection; none of them is MySQL's.

sec.multi-stage image
Multi-stage Docker builds
Show each Dockerfile: what builds stays behind in a stage of its own.

sec.image-secrets ! image
No secrets in images
Give the report of a scan of every layer of every image.

sec.named-users image
Non-root users (frontend: nextjs, backend: appuser)
Show the user of each image by name, and that its number is not 0.

sec.trivy-ci image 30d
Security scanning in CI (Trivy)
Give the workflow and its last run; a finding fails it.

sec.dep-scan code 30d
Dependency scanning (pip-audit, npm audit)
Give the last report for every lock file; nothing was skipped.

sec.dockerignore ! image
.dockerignore excludes all secrets
Show that no .env file, key or .git folder is sent to a build, nested ones included.

sec.gitignore-env code
.env files in .gitignore
Show that no .env file is tracked now or was in the past.

sec.tls-external web
SSL/TLS for external connections
Show the certificate of the edge and that no call to others switches verification off.

ci.tests-on-pr code 30d
Automated testing on PRs
Give the required checks of the main branch and a merged change that obeyed them.

ci.migration-check ! migrations 30d
Migration checks before deploy
Give the job that checks migrations, on which the deploy waits.

ci.type-check code 30d
Type checking enforced
Give the job that checks types; an error fails it.

ci.rollback ! deployed 30d
Rollback mechanism
Give the command of the way back and the record of its last use.

ci.pre-deploy deployed 30d
Pre-deployment verification
Give the job that verifies before the deploy, on which the deploy waits.

ci.post-deploy deployed 30d
Post-deployment validation
Give the job that looks at the service after the deploy, and its last run.

ci.health-retries containers
Health check retries (3 attempts)
Show how often each health check is tried before it counts as failed.

ci.zero-downtime deployed
Zero-downtime deployment strategy
Show the order of the update and the failed requests of the last rollout.

mon.metrics web
Prometheus metrics endpoint
Show the targets of Prometheus; all of them are up.

mon.per-endpoint web
Per-endpoint request tracking
Show the requests by endpoint of the last hour.

mon.histograms web
Response time histograms
Show the 95th percentile of the response time, from its histogram.

mon.error-rate web
Error rate tracking
Show the error rate of the last hour and the rule that alerts on it.

mon.db-conns database
Database connection monitoring
Show the graph of connections against their limit.

mon.cache redis
Cache hit/miss tracking
Show the graph of hits and misses.

mon.tasks queue
Background task monitoring
Show queue lengths and failures, and a task that was followed to its end.

mon.uptime web 30d
Uptime monitoring (GitHub Actions)
Give the last runs of the uptime check; the newest is younger than an hour.

log.structured service
Structured logging (Python logging module)
Show fifty lines of the log; each can be read by a program.

log.levels service
Log levels (DEBUG, INFO, WARNING, ERROR)
Show the log by level; DEBUG is off in production.

log.slow-query database =db.slow-log
Slow query logging
Show the threshold and a slow query that was logged.

log.request web 365d
Request/response logging (optional)
Give the decision whether requests are logged, and why.

log.traces service
Error stack traces
Show an error on staging that left its stack trace in the log.

log.rotation service
Log rotation (if using file logging)
Show what keeps the log from filling the disk.

perf.pooling database =db.pooling
Database connection pooling
Show the setting and how many sessions fifty requests opened.

perf.cache redis
Cache backend (Redis)
Show its memory limit, its eviction policy and how fast it answers.

perf.cdn web
CDN for static assets (CloudFlare)
Show the headers of a static file: it came from the edge.

perf.image-size image
Optimized Docker images (<500MB backend, <200MB frontend)
Show the size of each image.

perf.bundle-ci frontend 30d
Bundle size checks in CI
Give the job that measures the bundle; growth beyond the limit fails it.

perf.code-split frontend
Code splitting (Next.js)
Show the scripts of two pages; they are not the same.

perf.lazy frontend
Lazy loading components
Show which components load late.

dr.automated ! database 7d
Automated database backups
Give the record of the newest backup, younger than a day, and of reading it back.

dr.restore-tested ! database =db.restore
Backup restoration tested
Give the record of the last restore: when, how long it took, how many rows came back.

dr.offsite database
Off-site backup storage (AWS S3)
Show the newest backup in the other place; it is encrypted and not public.

dr.rto-rpo database
RTO/RPO defined (Recovery Time: 1 hour, Recovery Point: 5 min)
Give the document, the time of the last restore and how old the newest log archive may get.

dr.runbook service 180d
Runbook for disaster recovery
Give the runbook and the minutes of its last rehearsal.

dr.incident service 30d
Incident response procedures
Name who is on call now, and where the schedule is.

doc.deploy deployed 180d
Deployment runbook
Give the page, and who last deployed by it.

doc.rollback deployed 180d
Rollback procedures
Give the page, and who last went back by it.

doc.api web 180d
API documentation
Give the page of the interface, and what keeps it up to date.

doc.schema database 180d
Database schema docs
Give the page; every table is named.

doc.arch code 180d
Architecture diagrams
Give the diagram; it shows what runs today.

doc.onboarding code 180d
Onboarding guide
Name who last joined by it, and when.

doc.trouble service 180d
Troubleshooting guide
Give the page; every alert is named.

scal.stateless service
Stateless application design
Show that a request may go to any instance: sessions and files lie outside of it.

scal.horizontal service
Horizontal scaling ready (Docker Swarm/ECS)
Show two instances side by side, and what happened when one was ended.

scal.lb web
Load balancer ready
Show that requests reach every instance and none that is ill.

scal.pooling database =db.pooling
Database connection pooling
Show the setting and how many sessions fifty requests opened.

scal.cache redis =perf.cache
Cache layer (Redis)
Show its memory limit, its eviction policy and how fast it answers.

scal.queue queue
Background task queue (Dramatiq)
Show that tasks are done and none is stuck or dead.

scal.cdn web =perf.cdn
CDN for static assets
Show the headers of a static file: it came from the edge.

add.mon.latency imported
Per-endpoint latency tracking
Show the 95th percentile by endpoint.

add.mon.error-by-endpoint imported
Error rate by endpoint
Show the error rate by endpoint.

add.mon.slow-counter imported
Slow request counter
Show the counter before and after a slow request.

add.mon.active-gauge imported
Active request gauge
Show the gauge rise and fall around a burst.

add.infra.no-version-key imported
Removed obsolete docker-compose version
Show the top of every compose file.

add.infra.prom-enhanced imported
Enhanced Prometheus metrics
Give the list of metrics that must be there; none is missing.

add.infra.metric-count imported
23 total metrics (was 15)
Give the list of the application's own metrics, and how they are counted.

add.cb.pattern imported
Implemented circuit breaker pattern
Give the tests of the breaker and their last run.

add.cb.providers imported
Ready for integration with 18+ data providers
Give the list of providers with the state of the breaker of each.

add.cb.isolation imported
Automatic failure isolation
Show a provider that failed on staging while the others were served.

add.cb.self-heal imported
Self-healing after timeouts
Show that the breaker closed again once the provider came back.

add.worker.script imported
Worker health monitoring script
Show that it succeeds beside a working broker and fails without one.

add.worker.queue-endpoint imported
Queue status endpoint
Show its answer beside what the broker itself says.

add.worker.docker-health imported
Docker health check integration
Show a frozen worker that was called unhealthy.

add.sec.docker-scan imported 30d
Automated Docker scanning
Give the last report for every image.

add.sec.dep-vuln imported 30d
Dependency vulnerability scanning
Give the last report for every lock file.

add.sec.pr-comments imported 30d
PR comments with security summaries
Give the comments on the last five merged changes.

add.sec.daily imported 30d
Daily scheduled scans
Give the schedule and its newest run, younger than 26 hours.
"""
