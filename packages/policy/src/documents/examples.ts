import type { DocumentKind } from './kinds.js'

/** One complete document of each kind, for the reference. A test parses them all. */
export const documentExamples: Readonly<Record<DocumentKind, string>> = {
  IdentityProvider: `apiVersion: sallyport.dev/v1
kind: IdentityProvider
metadata: { name: github }
spec:
  issuer: https://token.actions.githubusercontent.com
  audience: https://sallyport.example.com
  algorithms: [RS256]
  maxTokenAge: 15m
`,
  Workload: `apiVersion: sallyport.dev/v1
kind: Workload
metadata: { name: shop-ci }
spec:
  provider: github
  match:
    - { claim: repository_id, equals: "123456789" }
    - { claim: repository_owner_id, equals: "987654" }
    - { claim: ref, glob: "refs/heads/*" }
  groups: [ci]
  showClaims: [repository, sha, workflow]
  actorClaim: actor
`,
  User: `apiVersion: sallyport.dev/v1
kind: User
metadata: { name: dana }
spec:
  displayName: Dana Meyer
  email: dana@example.com
  roles: [reviewer]
  groups: [dba]
  aliases: { github: dana-meyer }
`,
  GroupMapping: `apiVersion: sallyport.dev/v1
kind: GroupMapping
metadata: { name: dba-from-okta }
spec:
  provider: github
  match:
    - { claim: groups, equals: platform-dba }
  groups: [dba]
  roles: [reviewer]
`,
  Group: `apiVersion: sallyport.dev/v1
kind: Group
metadata: { name: backend }
spec:
  description: People who build the shop
  members: [ada, dana]
`,
  Target: `apiVersion: sallyport.dev/v1
kind: Target
metadata:
  name: orders-db
  labels: { env: prod }
spec:
  protocol: postgres
  agents: { labels: { site: fra1 } }
  postgres:
    host: db.internal
    port: 5432
    database: orders
    user: app
    password: env:ORDERS_DB_PASSWORD
    tls: { mode: verify-full, ca: "file:/etc/sallyport/db-ca.pem" }
`,
  Policy: `apiVersion: sallyport.dev/v1
kind: Policy
metadata: { name: ai-agents-on-orders }
spec:
  subjects: [{ workload: shop-ci }, { group: backend }]
  targets: { labels: { env: prod }, protocol: postgres }
  session: { ttl: 15m, idle: 5m, audit: spooled, recordResults: 8KiB }
  rules:
    - { allow: sql.select, on: ["public.orders", "public.customers"] }
    - { allow: sql.update, on: public.orders, when: { missing_where: false } }
    - { hold: [sql.delete, sql.ddl], on: "public.*", approvers: { groups: [dba], quorum: 1 }, timeout: 30m }
    - { deny: sql.drop_database, reason: databases are dropped by people }
  mask:
    - { columns: ["public.customers.email"], with: partial }
    - { names: ["*password*"], with: null }
    - { detect: [credit_card, secrets], with: redact }
  tests:
    - { as: shop-ci, run: "DROP TABLE orders", expect: hold }
    - { as: shop-ci, run: "SELECT * FROM orders", expect: allow }
`,
  Sink: `apiVersion: sallyport.dev/v1
kind: Sink
metadata: { name: siem }
spec:
  splunk_hec:
    url: https://hec.example.com:8088
    token: env:SALLYPORT_SINK_HEC_TOKEN
    acknowledge: true
  shape: ocsf
  kinds: [command, session, approval, auth, alert]
  mask: { statement: without_parameters, identity: keep }
  batch: { records: 500, bytes: 1MiB }
  alertAfter: 5m
`,
  Retention: `apiVersion: sallyport.dev/v1
kind: Retention
metadata: { name: default }
spec:
  rules:
    - { class: recordings, keepDays: 90, keepAtMost: 200000MiB }
    - { class: commands, keepDays: 400 }
    - { class: sessions, keepDays: 400 }
`,
}
